from .batch import Batch as Batch
from .embedding import embed as embed
from .listener import Listener as Listener
from .measure_again import measure_again as measure_again
from .run import TrainingResult as TrainingResult
from .run import run_training as run_training
