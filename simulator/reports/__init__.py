"""What people get to see of a run: a live view or plain lines, a final summary, report.json and the run's folder."""
