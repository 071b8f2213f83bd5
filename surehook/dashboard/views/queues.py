"""The queues."""

from surehook.admin.limit_sentences import limit_sentence
from surehook.admin.queues import Queues
from surehook.dashboard.site import Shown, Site, Visit


def show(site: Site, _: Visit) -> Shown:
    stats = Queues(site.store, site.keys).read()
    values = {
        "queues": stats.queues,
        "is_suspended": stats.is_suspended,
        "sentences": {queue.name: limit_sentence(queue.limits) for queue in stats.queues if queue.limits},
    }
    return Shown("queues.html", values)
