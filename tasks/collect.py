"""The task that proves what was extracted and, if asked, frees originals."""

from prefect import task

from imextract.batches import CollectResult, ImextractBatchArguments
from imextract.extractor import ImageExtractor
from imextract.lease import Lease
from tasks.policy import POLICY

__all__ = ["collect"]


@task(name="collect", task_run_name="collect", **POLICY)
def collect(lease: Lease, arguments: ImextractBatchArguments) -> CollectResult:
    """Count the planes of the experiment by state; delete what is proven, if asked."""
    extractor = ImageExtractor(lease.experiment_id, lease=lease)
    return extractor.collect_job_output(extractor.create_collect_batch(arguments))
