"""What is known in general, with its sources: reasons, remedies, families of models. Nothing here was measured in a study.

Reports set it apart from their own numbers. Every source that a text names as "(Author year)" stands in ``SOURCES``.
"""

import re
from collections.abc import Iterable

from ceteris.recipe import CNN, MLP, Model, ResNet

# By the first field of a factor that fits: what the technique does, and why it may help or hurt.
REASONS: dict[str, str] = {
    "schedule": "Large steps find a good region early, small steps settle in it late; lowering the rate serves both, "
    "and helps little where the training is short (Loshchilov & Hutter 2017).",
    "optimizer.lr": "Too small a rate stops before the minimum, too large a one overshoots it or diverges (Goodfellow "
    "et al. 2016).",
    "optimizer": "Adaptive methods scale every weight's step by its gradients and need less tuning; SGD with momentum "
    "can reach solutions that generalise better (Kingma & Ba 2015; Wilson et al. 2017).",
    "model.activation": "ReLU passes gradients undiminished where it is active but can die; leaky variants and ELU "
    "keep a slope below 0; tanh saturates on both sides (Glorot et al. 2011; Clevert et al. 2016).",
    "model.batch_norm": "It keeps the scale of every layer's inputs steady, which allows larger rates; with small "
    "mini-batches its statistics are noisy (Ioffe & Szegedy 2015).",
    "model.dropout": "Switching units off at random keeps them from relying on each other: less overfitting, slower "
    "learning, and harm where the network is small (Srivastava et al. 2014).",
    "penalty": "Small weights make smooth functions: L2 shrinks all of them, L1 sets some to 0; too strong a penalty "
    "underfits (Krogh & Hertz 1992).",
    "augmentation": "Changed copies of the images teach what does not matter for the label; a change that does matter, "
    "as a half turn of a 6, teaches errors (Shorten & Khoshgoftaar 2019).",
    "model.hidden": "More units and layers fit more functions, and need more data and time (Goodfellow et al. 2016).",
    "model.filters": "Each filter detects one pattern wherever it is; more filters and layers detect more and larger "
    "ones (LeCun et al. 1998).",
    "model.kernels": "A larger kernel sees more of the image at once; several small ones see as much with fewer "
    "weights (Simonyan & Zisserman 2015).",
    "model.blocks": "Depth composes simple features to complex ones; residual connections keep deep networks trainable "
    "(He et al. 2016).",
    "model.initialisation": "Weights that keep the variance from layer to layer let signals and gradients through "
    "(Glorot & Bengio 2010; He et al. 2015).",
    "batch_size": "Small mini-batches give noisy gradients, which can generalise better; large ones use the hardware "
    "better (Keskar et al. 2017).",
    "averaging": "The mean of weights along the path lies in a flatter region than its end (Izmailov et al. 2018).",
    "clipping": "Cutting long gradients keeps single mini-batches from throwing the weights off (Pascanu et al. 2013).",
}  # fmt: skip
REASONS["model.kernel"] = REASONS["model.kernels"]

OVERFITTING = (
    "The usual remedies for overfitting are more or augmented data, penalties, dropout and early stopping; for underfitting a "
    "larger network, a longer training or a better learning rate (Goodfellow et al. 2016)."
)

# For and against every family of models.
FAMILIES: dict[type[Model], tuple[str, str, str]] = {
    MLP: (
        "MLP",
        "simple and quick; no assumption about the input",
        "every pixel has weights of its own, so what is learned in one place is not known in another; many parameters "
        "(Goodfellow et al. 2016)",
    ),
    CNN: (
        "CNN",
        "shared weights find a pattern anywhere; few parameters for what it sees (LeCun et al. 1998)",
        "much arithmetic per parameter; very deep plain ones become hard to train (He et al. 2016)",
    ),
    ResNet: (
        "ResNet",
        "shortcuts carry the gradient past every block, so depth can be used (He et al. 2016)",
        "the most arithmetic and memory of the three; little gain where few layers are enough",
    ),
}  # type: ignore[type-abstract,unused-ignore]

SOURCES: dict[str, str] = {
    "Bayle et al. 2020": "Bayle, P., Bayle, A., Janson, L., Mackey, L. Cross-validation confidence intervals for test "
    "error. NeurIPS, 2020.",
    "Clevert et al. 2016": "Clevert, D.-A., Unterthiner, T., Hochreiter, S. Fast and accurate deep network learning by "
    "exponential linear units (ELUs). ICLR, 2016.",
    "Glorot & Bengio 2010": "Glorot, X., Bengio, Y. Understanding the difficulty of training deep feedforward neural "
    "networks. AISTATS, 2010.",
    "Glorot et al. 2011": "Glorot, X., Bordes, A., Bengio, Y. Deep sparse rectifier neural networks. AISTATS, 2011.",
    "Goodfellow et al. 2016": "Goodfellow, I., Bengio, Y., Courville, A. Deep Learning. MIT Press, 2016.",
    "Guo et al. 2017": "Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. On calibration of modern neural networks. "
    "ICML, 2017.",
    "He et al. 2015": "He, K., Zhang, X., Ren, S., Sun, J. Delving deep into rectifiers. ICCV, 2015.",
    "He et al. 2016": "He, K., Zhang, X., Ren, S., Sun, J. Deep residual learning for image recognition. CVPR, 2016.",
    "Holm 1979": "Holm, S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics "
    "6, 1979.",
    "Ioffe & Szegedy 2015": "Ioffe, S., Szegedy, C. Batch normalization. ICML, 2015.",
    "Izmailov et al. 2018": "Izmailov, P., Podoprikhin, D., Garipov, T., Vetrov, D., Wilson, A. G. Averaging weights "
    "leads to wider optima and better generalization. UAI, 2018.",
    "Keskar et al. 2017": "Keskar, N. S., Mudigere, D., Nocedal, J., Smelyanskiy, M., Tang, P. T. P. On large-batch "
    "training for deep learning. ICLR, 2017.",
    "Kingma & Ba 2015": "Kingma, D. P., Ba, J. Adam: a method for stochastic optimization. ICLR, 2015.",
    "Krogh & Hertz 1992": "Krogh, A., Hertz, J. A. A simple weight decay can improve generalization. NIPS 4, 1992.",
    "LeCun et al. 1998": "LeCun, Y., Bottou, L., Bengio, Y., Haffner, P. Gradient-based learning applied to document "
    "recognition. Proceedings of the IEEE 86, 1998.",
    "Loshchilov & Hutter 2017": "Loshchilov, I., Hutter, F. SGDR: stochastic gradient descent with warm restarts. "
    "ICLR, 2017.",
    "Nadeau & Bengio 2003": "Nadeau, C., Bengio, Y. Inference for the generalization error. Machine Learning 52, 2003.",
    "Owen 2007": "Owen, A. B. The pigeonhole bootstrap. Annals of Applied Statistics 1, 2007.",
    "Pascanu et al. 2013": "Pascanu, R., Mikolov, T., Bengio, Y. On the difficulty of training recurrent neural "
    "networks. ICML, 2013.",
    "Selvaraju et al. 2017": "Selvaraju, R. R., Cogswell, M., Das, A., Vedantam, R., Parikh, D., Batra, D. Grad-CAM. "
    "ICCV, 2017.",
    "Shorten & Khoshgoftaar 2019": "Shorten, C., Khoshgoftaar, T. M. A survey on image data augmentation for deep "
    "learning. Journal of Big Data 6, 2019.",
    "Simonyan & Zisserman 2015": "Simonyan, K., Zisserman, A. Very deep convolutional networks for large-scale image "
    "recognition. ICLR, 2015.",
    "Smyth 2004": "Smyth, G. K. Linear models and empirical Bayes methods for assessing differential expression in "
    "microarray experiments. Statistical Applications in Genetics and Molecular Biology 3, 2004.",
    "Srivastava et al. 2014": "Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I., Salakhutdinov, R. Dropout. "
    "JMLR 15, 2014.",
    "van der Maaten & Hinton 2008": "van der Maaten, L., Hinton, G. Visualizing data using t-SNE. JMLR 9, 2008.",
    "Wilson et al. 2017": "Wilson, A. C., Roelofs, R., Stern, M., Srebro, N., Recht, B. The marginal value of adaptive "
    "gradient methods in machine learning. NIPS, 2017.",
}  # fmt: skip


def reason_of(fields: Iterable[str]) -> str:
    """Return the general reason of the first field that has one, or whose part has; '' where none has."""
    for field in fields:
        parts = field.split(".")
        for end in range(len(parts), 0, -1):
            if found := REASONS.get(".".join(parts[:end])):
                return found
    return ""


def sources_in(text: str) -> list[str]:
    """Return the sources that a text names, in the order of their authors."""
    words = re.sub(r"\s+", " ", text)
    return [source for short, source in SOURCES.items() if short in words]
