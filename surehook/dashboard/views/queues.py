"""The queues."""

from surehook.admin.limit_sentences import limit_sentence
from surehook.admin.queues import Queues
from surehook.dashboard.site import GoTo, Refused, Shown, Site, Visit


def show(site: Site, _: Visit) -> Shown:
    stats = Queues(site.store, site.keys).read()
    values = {
        "queues": stats.queues,
        "is_suspended": stats.is_suspended,
        "sentences": {queue.name: limit_sentence(queue.limits) for queue in stats.queues if queue.limits},
    }
    return Shown("queues.html", values)


def change(site: Site, visit: Visit) -> GoTo:
    verb, name = visit.form.get("verb", ""), visit.form.get("queue", "")
    queues = Queues(site.store, site.keys)
    if verb not in ("pause", "resume") or name not in [queue.name for queue in queues.all()]:
        raise Refused(404, "There is no such queue.")
    site.audit(visit, f"queue {verb}d", queue=name)
    (queues.pause if verb == "pause" else queues.resume)(name)
    return GoTo("/queues")
