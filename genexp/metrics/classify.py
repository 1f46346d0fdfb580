"""What simple classifiers make of latent points or scores. All by scikit-learn."""

import numpy as np


def knn_accuracy(train: np.ndarray, train_label: np.ndarray, test: np.ndarray, test_label: np.ndarray, k: int = 10) -> float:
    """The share of test points (n, d) whose class is that of most of their k nearest training points."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(k, len(train))).fit(train, train_label)
    return float(model.score(test, test_label))


def linear_accuracy(train: np.ndarray, train_label: np.ndarray, test: np.ndarray, test_label: np.ndarray) -> float:
    """The share of test points (n, d) whose class a multinomial logistic regression on the training points gives."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, train_label)
    return float(model.score(test, test_label))


def auroc(usual: np.ndarray, other: np.ndarray) -> float:
    """The chance that a random score of `other` is above one of `usual`: 0.5 tells nothing apart, 1 everything."""
    from sklearn.metrics import roc_auc_score

    truth = np.concatenate([np.zeros(len(usual)), np.ones(len(other))])
    return float(roc_auc_score(truth, np.concatenate([usual, other])))
