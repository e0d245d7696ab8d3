"""What a trained model does, as plain arrays: heat maps, features, embeddings, gradients."""
