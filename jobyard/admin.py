"""`client.admin`: queues, workers, broadcasts, quotas and the clean-up of files, for operators."""

from jobyard.admin_models import Broadcast, QueueStatus, UserQuota, WorkerStatus
from jobyard.calls import R, Resource, call
from jobyard.exchange import Id, get, post, put, read_as, read_list, segment
from jobyard.flows import Flow
from jobyard.models import Account, Job

AnyUser = Account | Id
"""A user's account, or its id."""


class Admin(Resource[R]):
    """Is what operators see and do; all of it raises `Forbidden` for others."""

    @call
    def queues(self) -> Flow[tuple[QueueStatus, ...]]:
        """Tell how long and how old each queue's line is, how long jobs wait, and whether it is paused."""
        return read_list(QueueStatus, (yield from get(self.session, "/v1/admin/queues")))

    @call
    def pause_queue(self, name: str) -> Flow[QueueStatus]:
        """Pause a queue until it is resumed: jobs that run go on, all others wait. Raises `NotFound`."""
        return read_as(QueueStatus, (yield from post(self.session, f"/v1/admin/queues/{segment(name)}/pause")))

    @call
    def resume_queue(self, name: str) -> Flow[QueueStatus]:
        """Resume a queue; raises `NotFound`."""
        return read_as(QueueStatus, (yield from post(self.session, f"/v1/admin/queues/{segment(name)}/resume")))

    @call
    def workers(self) -> Flow[tuple[WorkerStatus, ...]]:
        """Tell what each worker last said of itself, and whether it is healthy."""
        return read_list(WorkerStatus, (yield from get(self.session, "/v1/admin/workers")))

    @call
    def broadcast(self, message: str, *, idempotency_key: str | None = None) -> Flow[Broadcast]:
        """Tell everybody who has a WebSocket open, once; it is not kept for those who come later."""
        answer = yield from post(self.session, "/v1/admin/broadcast", {"message": message}, key=idempotency_key)
        return read_as(Broadcast, answer)

    @call
    def quota(self, user: AnyUser) -> Flow[UserQuota]:
        """Read what a user may have stored, and how much they have; raises `NotFound`."""
        return read_as(UserQuota, (yield from get(self.session, _quota_path(user))))

    @call
    def set_quota(self, user: AnyUser, *, max_bytes: int | None, max_files: int | None) -> Flow[UserQuota]:
        """Set what a user may have stored: None is the server's default, 0 no limit. Of what is there nothing goes."""
        body = {"max_bytes": max_bytes, "max_files": max_files}
        return read_as(UserQuota, (yield from put(self.session, _quota_path(user), body)))

    @call
    def clean_files(self, *, dry_run: bool, idempotency_key: str | None = None) -> Flow[Job]:
        """Enqueue a clean-up of everybody's files, as the schedule does; a dry run's result tells what would go."""
        answer = yield from post(self.session, "/v1/admin/files/clean", {"dry_run": dry_run}, key=idempotency_key)
        return read_as(Job, answer)


def _quota_path(user: AnyUser) -> str:
    return f"/v1/admin/users/{segment(user.id if isinstance(user, Account) else user)}/quota"
