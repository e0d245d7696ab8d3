"""What a trained model does, as plain arrays: heat maps, features, embeddings, gradients."""

from ceteris.explain.embedding import embed, embedding_layer, tsne
from ceteris.explain.explanation import explain
from ceteris.explain.features import feature_maps, first_features, standardise
from ceteris.explain.gradcam import grad_cam, grad_cam_layer
from ceteris.explain.residual import gradient_norms, residual_finding

__all__ = [
    "embed",
    "embedding_layer",
    "explain",
    "feature_maps",
    "first_features",
    "grad_cam",
    "grad_cam_layer",
    "gradient_norms",
    "residual_finding",
    "standardise",
    "tsne",
]
