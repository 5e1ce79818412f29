"""Functions as jobs of Boxstrap 0.1 name them, and where they are now."""

MOVED = {
    "backend.jobs.tasks.train.train": "backend.jobs.train.train",
    "backend.jobs.tasks.predict.predict": "backend.jobs.predict.predict",
    "backend.jobs.tasks.preannotate.preannotate": "backend.jobs.preannotate.preannotate",
    "backend.jobs.tasks.observe.observe": "backend.jobs.sync_annotations.sync_annotations",
    "backend.jobs.tasks.webhooks.sign": "backend.jobs.authorize_webhook.authorize_webhook",
    "backend.jobs.callbacks.training_failed": "backend.queueing.callbacks.training_failed",
    "backend.jobs.callbacks.chunk_done": "backend.queueing.callbacks.chunk_done",
}
