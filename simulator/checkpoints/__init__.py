"""The checkpoint folder's way to S3 and back: object store, sync, restore, manifest."""
