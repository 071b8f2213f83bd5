"""The names of the keys of operators' commands."""


class OperatorKeys:
    """The part of `Keys` that holds bulk actions, the audit and the reconciliation."""

    __slots__ = ()
    prefix: str

    @property
    def audit(self) -> str:
        """Stream: the newest 10,000 actions of operators."""
        return f"{self.prefix}:audit"

    def bulk_action(self, action_id: str) -> str:
        """Hash: an action on many dead letters: its filter, state, runner and progress."""
        return f"{self.prefix}:bulk:{action_id}"

    @property
    def bulk_actions(self) -> str:
        """Sorted set: the newest 100 of them, scored by when they were planned (ms)."""
        return f"{self.prefix}:bulks"

    @property
    def reconciled(self) -> str:
        """Hash: up to which instant FusionAuth's event log was compared with ours, and the last statement."""
        return f"{self.prefix}:reconciled"

    @property
    def reconcile_lock(self) -> str:
        """String: held by the process that compares."""
        return f"{self.prefix}:reconciling"
