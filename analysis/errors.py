"""One tree of errors; each says what is wrong and where, and the remedy.

PolysemeError
├── InputError             the caller's texts, files or options
│   ├── TargetNotFound     no text uses the word
│   ├── BadSpan            offsets that are not in the text, or that no token covers
│   ├── BadText            an empty text, or one too long for what was asked
│   ├── BadFile            missing, a folder, empty, not UTF-8, not what its ending says
│   ├── BadOption          an unknown layer, head, method, field or number
│   ├── LimitExceeded      more texts or characters than allowed
│   └── NotInLexicon       a word, or a part of speech of it, that the dictionary lacks
├── LexiconNotPulled       the dictionary is not on this machine yet
├── EngineError            the machines that a corpus is read on cannot be reached, or failed
└── ModelError             the pretrained model
    ├── UnknownModel       no such name or folder
    ├── ModelNotPulled     known, but not on this machine yet
    ├── DownloadFailed     no source gave the files
    ├── DigestMismatch     a file is not the one that was pinned
    ├── UnsupportedModel   it cannot do what was asked
    └── ModelMismatch      a sense model was made with another model or revision
"""

from __future__ import annotations

Place = tuple[str | int, ...]


class PolysemeError(Exception):
    """What is wrong (`what`), where (`where`, a path into the input such as `("texts", 3)`), and the remedy.

    `str(error)` is one line: what, then the remedy. `what` names the place in words, since `where` is for machines.
    """

    def __init__(self, what: str, *, remedy: str, where: Place = ()) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.where = where

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


class InputError(PolysemeError):
    """The caller's texts, files or options."""


class TargetNotFound(InputError):
    """No text uses the target word."""


class BadSpan(InputError):
    """Offsets that are not inside the text, or that the model's tokenizer sees nothing at."""


class BadText(InputError):
    """A text that is empty, or too long for what was asked."""


class BadFile(InputError):
    """A file that is missing, a folder, empty, not UTF-8, or not what its ending says."""


class BadOption(InputError):
    """An option outside what the model or the data allow."""


class LimitExceeded(InputError):
    """More texts, or longer ones, than the limit."""


class NotInLexicon(InputError):
    """A word, or a part of speech of it, that the dictionary lacks."""


class LexiconNotPulled(PolysemeError):
    """The dictionary is not on this machine yet."""


class EngineError(PolysemeError):
    """A cluster that cannot be reached, or that failed at its work."""


class ModelError(PolysemeError):
    """The pretrained model."""


class UnknownModel(ModelError):
    """Neither a name in the catalogue, nor a folder, nor a Hub name that was pulled."""


class ModelNotPulled(ModelError):
    """A known model that is not on this machine yet."""


class DownloadFailed(ModelError):
    """No source gave the model's files."""


class DigestMismatch(ModelError):
    """A file's SHA-256 is not the pinned one; both digests are in `what`."""


class UnsupportedModel(ModelError):
    """The model cannot do what was asked of it."""


class ModelMismatch(ModelError):
    """A sense model was made with another model or revision than the one given; both are in `what`."""
