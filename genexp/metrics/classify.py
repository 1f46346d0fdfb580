"""What simple classifiers make of latent points or scores. All by scikit-learn."""

import numpy as np


def knn_classes(train: np.ndarray, train_label: np.ndarray, test: np.ndarray, k: int = 10) -> np.ndarray:
    """The class of most of the k training points (n, d) nearest to each test point (m, d), (m,)."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(min(k, len(train))).fit(train, train_label).predict(test)


def linear_classes(train: np.ndarray, train_label: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The class that a multinomial logistic regression on the training points (n, d) gives each test point (m, d), (m,)."""
    if len(np.unique(train_label)) < 2:
        return np.full(len(test), train_label[0])
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, train_label).predict(test)


def confusion_counts(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """How often class i (rows) was taken for class j (columns), (classes, classes)."""
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)


def auroc(usual: np.ndarray, other: np.ndarray) -> float:
    """The chance that a random score of `other` is above one of `usual`: 0.5 tells nothing apart, 1 everything."""
    from sklearn.metrics import roc_auc_score

    truth = np.concatenate([np.zeros(len(usual)), np.ones(len(other))])
    return float(roc_auc_score(truth, np.concatenate([usual, other])))
