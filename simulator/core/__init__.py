"""Pure data and pure functions: what a job, a plan, an event is. No Docker, S3, file or clock in here."""
