"""SageMaker's operations on training jobs: what each takes, does and answers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from simulator.core.errors import UsageError
from simulator.core.lifecycle import TrainingJobStatus
from simulator.service.describe import describe, list_jobs
from simulator.service.errors import ResourceInUse, ResourceLimitExceeded, ValidationException
from simulator.service.jobs import JobEntry, Register
from simulator.service.plans import Plans
from simulator.service.request_job import job_of_request
from simulator.service.rules import check_create
from simulator.service.runner import Runner
from simulator.service.search import described, passes, sort_value

MAX_TAGS = 50
TAGS_PER_PAGE = 100
RESULTS_PER_PAGE = 10
UPDATABLE = ("ProfilerConfig", "ProfilerRuleConfigurations", "RemoteDebugConfig")

Operation = Callable[[dict[str, Any], str], Mapping[str, Any]]


class TrainingJobs:
    """The operations by name: each takes a request as it was checked against the model, and the region it was sent to.
    They raise ServiceError."""

    def __init__(
        self, register: Register, runner: Runner, plans: Plans, changed: Callable[[JobEntry], None], max_instances: int
    ) -> None:
        self._register, self._runner, self._plans, self._changed = register, runner, plans, changed
        self._max_instances = max_instances
        self.by_name: Mapping[str, Operation] = {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "ListTrainingJobs": self.list,
            "StopTrainingJob": self.stop,
            "UpdateTrainingJob": self.update,
            "DeleteTrainingJob": self.delete,
            "AddTags": self.add_tags,
            "ListTags": self.list_tags,
            "DeleteTags": self.delete_tags,
            "Search": self.search,
        }

    def create(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """CreateTrainingJob."""
        check_create(request)
        tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        try:
            job = job_of_request(request, region)
            plan = self._plans.plan_for(job.TrainingJobName, tags, bool(request.get("EnableManagedSpotTraining")))
        except UsageError as error:
            raise ValidationException(f"{error.what}: {error.why}; {error.next_step}") from error
        running = sum(len(entry.job.hosts) for entry in self._register if not entry.is_over)
        if running + len(job.hosts) > self._max_instances:
            raise ResourceLimitExceeded(
                f"spot-simulator's limit 'instances at a time' is {self._max_instances} Instances, with current "
                f"utilization of {running} Instances and a request delta of {len(job.hosts)} Instances. Wait for a job "
                "to end, or stop one: aws sagemaker stop-training-job"
            )
        entry = JobEntry(request, region, job, plan, tags)
        self._register.add(entry)
        self._changed(entry)
        self._runner.start(entry)
        return {"TrainingJobArn": entry.arn}

    def describe(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """DescribeTrainingJob."""
        return describe(self._register.get(region, request["TrainingJobName"]))

    def list(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """ListTrainingJobs."""
        return list_jobs([entry for entry in self._register if entry.region == region], request)

    def search(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """Search, for training jobs. Newest first, unless SortBy says otherwise."""
        found = []
        for entry in self._register:
            if entry.region == region:
                told = {**describe(entry), "Tags": _as_list(entry.tags)}
                properties = described(told, entry.tags)
                if passes(properties, request.get("SearchExpression", {})):
                    found.append((sort_value(properties, request.get("SortBy", "CreationTime")), told))
        try:
            found.sort(key=lambda row: row[0], reverse=request.get("SortOrder", "Descending") == "Descending")
        except TypeError:
            raise ValidationException(f"Jobs cannot be sorted by {request['SortBy']}") from None
        begin, size = _offset(request.get("NextToken")), request.get("MaxResults", RESULTS_PER_PAGE)
        more = {"NextToken": _offset_token(begin + size)} if len(found) > begin + size else {}
        return {"Results": [{"TrainingJob": told} for _, told in found[begin : begin + size]], **more}

    def stop(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """StopTrainingJob. A job that is stopping already is no error; one that has ended is."""
        entry = self._register.get(region, request["TrainingJobName"])
        if entry.is_over:
            raise ValidationException(
                f"The request was rejected because the training job is in status {entry.status.value}."
            )
        entry.stop_asked = True
        entry.touch()
        run = entry.run
        if run is not None:
            run.stop()
        return {}

    def update(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """UpdateTrainingJob: kept and described; there is no profiler, debugger or warm pool to be told."""
        entry = self._register.get(region, request["TrainingJobName"])
        if "ResourceConfig" in request:
            raise ValidationException(
                "KeepAlivePeriodInSeconds can be updated only for a job with a warm pool; spot-simulator keeps none"
            )
        if entry.status is not TrainingJobStatus.IN_PROGRESS:
            raise ValidationException(
                f"The training job can be updated only while it is InProgress; it is {entry.status.value}."
            )
        for name in UPDATABLE:
            if name in request:
                entry.request[name] = request[name]
        entry.touch()
        self._changed(entry)
        return {"TrainingJobArn": entry.arn}

    def delete(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """DeleteTrainingJob: the job is forgotten, its run folder stays."""
        entry = self._register.get(region, request["TrainingJobName"])
        if not self._register.remove(entry, only_if=lambda found: found.is_over):
            raise ResourceInUse(
                f"The training job is in status {entry.status.value}; it can be deleted when it has ended."
            )
        self._changed(entry)
        return {}

    def add_tags(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """AddTags."""
        entry = self._register.of_arn(request["ResourceArn"])
        tags = entry.tags | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        if len(tags) > MAX_TAGS:
            raise ResourceLimitExceeded(f"A resource can have at most {MAX_TAGS} tags.")
        entry.tags = tags
        self._changed(entry)
        return {"Tags": _as_list(tags)}

    def list_tags(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """ListTags."""
        tags = _as_list(self._register.of_arn(request["ResourceArn"]).tags)
        begin = _offset(request.get("NextToken"))
        size = request.get("MaxResults", TAGS_PER_PAGE)
        more = {"NextToken": _offset_token(begin + size)} if len(tags) > begin + size else {}
        return {"Tags": tags[begin : begin + size], **more}

    def delete_tags(self, request: dict[str, Any], region: str) -> Mapping[str, Any]:
        """DeleteTags."""
        entry = self._register.of_arn(request["ResourceArn"])
        entry.tags = {key: value for key, value in entry.tags.items() if key not in request["TagKeys"]}
        self._changed(entry)
        return {}


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _offset_token(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        raise ValidationException("Invalid NextToken") from None
    if offset < 0:
        raise ValidationException("Invalid NextToken")
    return offset
