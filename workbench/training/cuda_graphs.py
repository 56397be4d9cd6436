"""Forward and backward of a step in one launch, as a CUDA graph for each bucket of sizes.

A small encoder's step is some hundred kernels that take less time than launching them does. Recorded once, they are launched
together. What is recorded are addresses, so all that changes from step to step lies in memory of its own: the batch is copied
there, loss and gradients are fetched from there, and the weights change where they are. Clipping and the optimiser stay outside: they
are a few launches, and what they do hangs on the step.
"""

from __future__ import annotations

import statistics
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from workbench.models import SentenceTransformer
from workbench.models.numerics import wait_for
from workbench.recipe import TrainingConfig
from workbench.training.batch import Batch
from workbench.training.bucketing import GRAIN, Bucket, BucketedBatch, Buffers, fill_up
from workbench.training.distributed import ProcessGroup

MOST_GRAPHS = 32
"""Beyond it, the bucket that was not met for longest goes."""
WORTH_STEPS = 300
"""With fewer steps in a run, `auto` records nothing: to try it out would take what it can save."""
_WORTH_RECORDING = 3
"""A bucket is recorded when it comes the third time; many come once."""
_WARM_UPS = 3
_SETTLING, _TIMED, _PATIENCE = 5, 8, 100
"""Steps of a trial: before the clock counts, on the clock each way, and with buckets at most."""

Step = Callable[[], None]
Record = Callable[[Step], Step]
"""Takes what one step does, and returns what does it again, on whatever then lies in the same memory."""


class CudaRecorder:
    """Records steps as CUDA graphs.

    Args:
        device: A CUDA GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        # One for all: the graphs run one after the other, and what each leaves for later lies outside.
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        """Return the graph's replay.

        Raises:
            RuntimeError: If the step does what no graph can hold.
        """
        current = torch.cuda.current_stream(self._device)
        graph = torch.cuda.CUDAGraph()
        # Afterwards the random numbers go on as if nothing had been drawn. A dropout in the graph draws again at each replay.
        with torch.random.fork_rng([self._device]):
            try:
                with torch.cuda.stream(self._stream):
                    self._stream.wait_stream(current)
                    self._warm_up(step)
                    # Another thread may be making the next batch, which is nothing to this capture.
                    with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                        step()
            except RuntimeError:
                self._forget_capture()
                raise
            finally:
                current.wait_stream(self._stream)
        return graph.replay

    def _warm_up(self, step: Step) -> None:
        for _ in range(_WARM_UPS - 1):
            step()
        # Whatever waits for the GPU would spoil a capture, from which torch does not come back unharmed; here it only raises.
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def _forget_capture(self) -> None:
        """Give the GPU's generator a new state, as the old one may take itself to be in the middle of a capture still."""
        torch.cuda.synchronize(self._device)
        generator = torch.cuda.default_generators[torch.cuda.current_device() if self._device.index is None else self._device.index]
        generator.graphsafe_set_state(generator.clone_state())


@dataclass
class _Kept:
    buffers: Buffers
    seen: int = 0
    replay: Step | None = None


class GraphedSteps:
    """Runs steps on batches filled up to buckets, and records those whose bucket comes often.

    Args:
        model: The network whose batches are filled up.
        trained: What holds the weights that are trained: those of the network, and the loss's own.
        device: Where.
        record: Records a step; None runs every step as it is, for want of graphs.
        tell: Is told, as text, what is done and why.
        trial: Settles whether it pays; None if it need not.
        most: How many buckets are kept.
        grain: As for `fill_up`.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        trained: nn.Module,
        device: torch.device,
        record: Record | None,
        tell: Callable[[str], None],
        trial: Trial | None = None,
        most: int = MOST_GRAPHS,
        grain: int = GRAIN,
    ) -> None:
        self._limit = model.max_seq_length
        self._filler = model.tokenizer.pad_token_id or 0
        self._trained = trained
        self._weights: list[nn.Parameter] = []
        self._device = device
        self._record = record
        self._tell = tell
        self._trial = trial
        self._most, self._grain = most, grain
        self._kept: OrderedDict[Bucket, _Kept] = OrderedDict()
        self._gradients: list[Tensor | None] | None = None
        self._loss = torch.zeros((), device=device)
        self._scale = torch.ones((), device=device)
        self._failed = False
        self._replayed = False

    @property
    def buckets(self) -> dict[Bucket, bool]:
        """The buckets that are kept, the one last met at the end, and whether each is recorded."""
        return {bucket: kept.replay is not None for bucket, kept in self._kept.items()}

    @property
    def wanted(self) -> bool:
        """Whether the next batch shall be filled up. May be asked in another thread."""
        return not self._failed and (self._trial is None or self._trial.wants_buckets)

    def fill_up(self, batch: Batch) -> BucketedBatch | None:
        """Return a batch, in the host's memory, filled up to its bucket; None where that cannot be. May be called in another thread."""
        return fill_up(batch, self._limit, self._filler, self._device, self._grain)

    def step(self, network: Callable[[Batch], Tensor], batch: BucketedBatch, scale: Tensor | None = None) -> Tensor:
        """Leave the gradients of a batch with the weights, and return its loss.

        Args:
            network: Returns the loss of a batch; the same one at each step.
            batch: What `fill_up` returned.
            scale: What the gradients are multiplied by; None for 1.
        """
        # Only now is settled which those are: a training may leave some out while it lasts.
        self._weights = self._weights or [weight for weight in self._trained.parameters() if weight.requires_grad]
        kept = self._keep(batch.bucket)
        kept.buffers.fill(batch)
        if scale is not None:
            self._scale.copy_(scale)
        compute = partial(self._compute, network, kept.buffers)
        kept.seen += 1
        self._replayed = kept.replay is not None  # the recording itself is nothing to be timed
        if kept.replay is None and kept.seen >= _WORTH_RECORDING:
            kept.replay = self._recorded(compute)
        (kept.replay or compute)()
        for weight, gradient in zip(self._weights, self._gradients or (), strict=True):
            weight.grad = gradient
        return self._loss.clone()

    def timed(self, batch: Batch | BucketedBatch, run: Callable[[], Tensor]) -> Tensor:
        """Return what `run` returns for a batch; on the trial's clock, as long as it lasts."""
        trial = self._trial
        if trial is None or trial.settled:
            return run()
        wait_for(self._device)
        start = trial.clock()
        loss = run()
        wait_for(self._device)
        seconds = trial.clock() - start
        if isinstance(batch, BucketedBatch):
            trial.note_bucketed(seconds if self._replayed else None)
        else:
            trial.note_plain(seconds)
        if trial.settled and not self._failed:
            self._tell(trial.sentence)
            if not trial.wants_buckets:
                self.release()
        return loss

    def release(self) -> None:
        """Give back all memory; the weights keep the gradients that they have."""
        wait_for(self._device)
        self._kept.clear()
        self._weights, self._gradients = [], None

    def _keep(self, bucket: Bucket) -> _Kept:
        if bucket not in self._kept:
            if len(self._kept) >= self._most:
                wait_for(self._device)  # it may be running still
                self._kept.popitem(last=False)
            self._kept[bucket] = _Kept(Buffers(bucket, self._device))
        self._kept.move_to_end(bucket)
        return self._kept[bucket]

    def _compute(self, network: Callable[[Batch], Tensor], buffers: Buffers) -> None:
        """Go forward and backward over what lies in the buffers: what a graph holds."""
        value = network(buffers.batch())
        gradients = torch.autograd.grad(value, self._weights, self._scale, allow_unused=True)
        if self._gradients is None:
            self._gradients = [None if gradient is None else torch.empty_like(gradient) for gradient in gradients]
        # All buckets share one set of gradients, for each to keep its own would take a second network's memory for every one.
        torch._foreach_copy_(
            [target for target in self._gradients if target is not None],
            [gradient for gradient in gradients if gradient is not None],
        )
        self._loss.copy_(value.detach())

    def _recorded(self, compute: Step) -> Step | None:
        if self._record is None or self._failed:
            return None
        try:
            return self._record(compute)
        except RuntimeError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._failed, self._trial = True, None
            for kept in self._kept.values():
                kept.replay = None
            self._tell(f"CUDA graphs are left out from here on: a step could not be recorded ({reason}).")
            return None


class Trial:
    """Settles, by the clock, whether steps are faster with graphs.

    Some plain steps come first, then steps on buckets, of which those count that were replayed.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._plain: list[float] = []
        self._graphed: list[float] = []
        self._bucketed = 0
        self._verdict: bool | None = None
        self.sentence = ""

    @property
    def settled(self) -> bool:
        """Whether it is over."""
        return self._verdict is not None

    @property
    def wants_buckets(self) -> bool:
        """Whether steps shall be on buckets: while those are timed, and afterwards if they won."""
        return len(self._plain) >= _SETTLING + _TIMED if self._verdict is None else self._verdict

    def note_plain(self, seconds: float) -> None:
        """Take the time of a plain step."""
        self._plain.append(seconds)

    def note_bucketed(self, seconds: float | None) -> None:
        """Take the time of a step on a bucket, None where it was not replayed, and settle the matter when there are enough."""
        self._bucketed += 1
        if seconds is not None:
            self._graphed.append(seconds)
        if len(self._graphed) >= _TIMED:
            plain, graphed = statistics.median(self._plain[_SETTLING:]), statistics.median(self._graphed)
            self._verdict = graphed < plain
            self.sentence = (
                f"CUDA graphs are {'used' if self._verdict else 'left out'}: forward and backward of a step take "
                f"{1000 * graphed:.1f} ms with them and {1000 * plain:.1f} ms without."
            )
        elif self._bucketed >= _PATIENCE:
            self._verdict = False
            self.sentence = (
                f"CUDA graphs are left out: of {self._bucketed} batches only {len(self._graphed)} had sizes that had come before; "
                "they differ too much in how long their texts are."
            )


def graph_steps(
    config: TrainingConfig,
    model: SentenceTransformer,
    trained: nn.Module,
    device: torch.device,
    processes: ProcessGroup,
    steps: int,
    tell: Callable[[str], None],
) -> GraphedSteps | None:
    """Return what runs a training's steps as graphs; None where they run as they are.

    Args:
        config: Says whether graphs are asked for.
        model: The network.
        trained: As for `GraphedSteps`.
        device: Where.
        processes: The processes that train.
        steps: How many steps there will be.
        tell: Is told what was decided and why; nothing where there was nothing to decide.
    """
    asked, cuda = config.cuda_graphs, device.type == "cuda"
    if asked == "off" or (asked == "auto" and not cuda):
        return None
    reason = _obstacle(config, model, processes)
    if reason is None and asked == "auto" and steps < WORTH_STEPS:
        reason = f"the run has {steps} steps, and to try them out pays from {WORTH_STEPS} on"
    if reason is not None:
        tell(f"CUDA graphs are left out: {reason}.")
        return None
    if asked == "on":
        what = (
            "each size that comes often is recorded" if cuda else f"`device` {device.type} has no graphs, so they run as they are"
        )
        tell(f"CUDA graphs are on, as asked for: steps are filled up to sizes that come again, and {what}.")
    return GraphedSteps(model, trained, device, CudaRecorder(device) if cuda else None, tell, Trial() if asked == "auto" else None)


def _obstacle(config: TrainingConfig, model: SentenceTransformer, processes: ProcessGroup) -> str | None:
    """Return why no step of a run can be recorded; None where nothing is known to be in the way."""
    if processes.size > 1:
        return "several devices exchange vectors in the middle of a step"
    if config.micro_batch_size is not None and config.micro_batch_size < config.batch_size:
        return f"`micro_batch_size` {config.micro_batch_size} embeds a batch in parts"
    if not model.encoder.packs:
        return "batches of this encoder are padded to their longest text, and nearly every one has a shape of its own"
    if model.max_seq_length < 2:
        return "texts of a single token leave no room for filling"
    return None
