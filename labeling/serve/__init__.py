"""dataplat's own server beside Label Studio: pictures by short-lived links, ways in for annotators, what is answered."""

from dataplat.labeling.serve.hooks import watch_project
from dataplat.labeling.serve.links import enter_link, hook_link, media_link
from dataplat.labeling.serve.wake import heard

__all__ = ["enter_link", "heard", "hook_link", "media_link", "watch_project"]
