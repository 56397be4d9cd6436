from .contrastive import ContrastiveLoss as ContrastiveLoss
from .cosent import CoSENTLoss as CoSENTLoss
from .cosine_similarity import CosineSimilarityLoss as CosineSimilarityLoss
from .loss import Loss as Loss
from .loss import build_loss as build_loss
from .multiple_negatives_ranking import MultipleNegativesRankingLoss as MultipleNegativesRankingLoss
from .softmax import SoftmaxLoss as SoftmaxLoss
from .triplet import TripletLoss as TripletLoss
