"""The catalogue of data sets: title, folder, licence, and of each file its SHA-256 and its mirrors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shared.fetch import File, Spec


def _cifar_layouts(folder: Path) -> Iterator[dict[str, Path]]:
    """CIFAR-10 also comes unpacked by torchvision, or as one folder of pictures per class."""
    if (folder / "cifar-10-batches-py").is_dir():
        yield {"batches": folder}
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        yield {"pictures": folder}
    for archive in sorted(folder.glob("*.zip")):
        yield {"pictures": archive}


_D2L = "http://d2l-data.s3-accelerate.amazonaws.com/"
_DLWPT = "https://raw.githubusercontent.com/deep-learning-with-pytorch/dlwpt-code/master/data/p1ch4/"
_FASHION = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/")


_TREEBANK = "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip"
_TREEBANK_HASH = "sha256:5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc"
_GENSIM = "https://raw.githubusercontent.com/piskvorky/gensim/develop/gensim/test/test_data/"


def _tree_file(name: str, sha256: str) -> File:
    return File(name, sha256, (_TREEBANK,), _TREEBANK_HASH, f"trees/{name}")


def _fashion_file(name: str, sha256: str) -> File:
    return File(name, sha256, tuple(mirror + name for mirror in _FASHION))


SPECS: dict[str, Spec] = {
    "fashion-mnist": Spec("Fashion-MNIST", "fashion-mnist", "MIT, Zalando Research", (
        _fashion_file("train-images-idx3-ubyte.gz",
                      "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        _fashion_file("train-labels-idx1-ubyte.gz",
                      "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        _fashion_file("t10k-images-idx3-ubyte.gz",
                      "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        _fashion_file("t10k-labels-idx1-ubyte.gz",
                      "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"))),
    "cifar10": Spec("CIFAR-10", "cifar10", "research use, Krizhevsky 2009", (
        File("cifar-10-python.tar.gz",
             "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
             ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",)),), _cifar_layouts),
    "fra-eng": Spec("English-French sentence pairs", "fra-eng", "CC BY 2.0 FR, Tatoeba", (
        File("fra.txt", "0bb85dbaa1c896844649094d7eaf2e34bee34e84fe362b26ce7e8f2e12aae104",
             (_D2L + "fra-eng.zip",), "sha1:94646ad1522d915e7b0f9296181140edcf86a4f5",
             "fra-eng/fra.txt"),)),
    "time-machine": Spec("The Time Machine", "timemachine", "public domain", (
        File("timemachine.txt", "8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516",
             (_D2L + "timemachine.txt",)),)),
    "pride-and-prejudice": Spec("Pride and Prejudice", "pride-and-prejudice",
                                "Project Gutenberg licence, in the file", (
        File("1342-0.txt", "c96e628c6f84bf45d3cee2c2da66166ccbeda328ecb76bb9b2ab1bc91961d0d1",
             (_DLWPT + "jane-austen/1342-0.txt",
              "https://www.gutenberg.org/files/1342/1342-0.txt")),)),
    "house-prices": Spec("Ames house prices", "house-prices", "De Cock 2011, competition terms", (
        File("kaggle_house_pred_train.csv",
             "1e18addf81e5e4d347cc17ee6075bbe4a42b7fa26b9e5b063e8f692a5f929d41",
             (_D2L + "kaggle_house_pred_train.csv",)),
        File("kaggle_house_pred_test.csv",
             "8fdd3d829d4d986b58f845c9553b225e67dd8383624d90fb6ca1d4bed5798c1e",
             (_D2L + "kaggle_house_pred_test.csv",)))),
    "wine": Spec("white wine quality", "wine", "CC BY 4.0, UCI, Cortez et al. 2009", (
        File("winequality-white.csv",
             "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
             ("https://archive.ics.uci.edu/ml/machine-learning-databases/wine-quality/"
              "winequality-white.csv", _DLWPT + "tabular-wine/winequality-white.csv")),)),
    "bikes": Spec("bike rentals by the hour", "bikes", "CC BY 4.0, UCI, Fanaee-T and Gama 2013", (
        File("hour-fixed.csv", "ae5b1b828676fb7696ebfd838f105c71cda9c867aa752f75eed6fa6d0eacf991",
             (_DLWPT + "bike-sharing-dataset/hour-fixed.csv",)),)),
    "brown": Spec("the Brown corpus", "brown", "non-commercial use, Francis and Kucera 1961", (
        File("brown.zip", "9b275f9b3b95d7bd66ccfb7cd259f445a13bbe5d1f4107aba09fd3e8364bafa6",
             ("https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/brown.zip",)),)),
    "sst": Spec("the Stanford Sentiment Treebank", "sst", "for research, Socher et al. 2013", (
        _tree_file("train.txt", "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7"),
        _tree_file("dev.txt", "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40"),
        _tree_file("test.txt", "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761"))),
    "word-tests": Spec("tests of words", "word-tests", "none stated; Finkelstein et al. 2002, Hill et al. 2015, "
                       "Mikolov et al. 2013, as in the test data of gensim", (
        File("wordsim353.tsv", "f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d",
             (_GENSIM + "wordsim353.tsv",)),
        File("simlex999.txt", "d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d",
             (_GENSIM + "simlex999.txt",)),
        File("questions-words.txt", "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
             (_GENSIM + "questions-words.txt",)))),
}
