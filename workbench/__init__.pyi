from . import evaluation as evaluation
from . import losses as losses
from . import models as models
from .data import load_pairs as load_pairs
from .models.sentence_transformer import SentenceTransformer as SentenceTransformer
from .recipe import Recipe as Recipe
from .runs import RunResult as RunResult
from .runs import train as train

__version__: str
