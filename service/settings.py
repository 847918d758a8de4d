"""Settings, read once from the environment and then passed down; nothing else reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import Field, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.keys import FORM

MOST_TEXTS = 20_000  # whatever the setting: a request is checked on the event loop, which this keeps short


ApiKey = Annotated[str, StringConstraints(pattern=FORM)]


class Settings(BaseSettings):
    """`POLYSEME_` and the field's name in capitals, e.g. `POLYSEME_MODEL=minilm`."""

    model_config = SettingsConfigDict(env_prefix="POLYSEME_", extra="ignore")

    home: Path = Field(
        default_factory=lambda: user_data_path("polyseme"), description="folder of the models and of the data"
    )
    model: str = Field(default="mpnet", description="the model used where a request names none")
    models: tuple[str, ...] = Field(
        default=("mpnet", "minilm", "smollm2"), description="the models that requests may name, as a JSON list"
    )
    device: str = Field(
        default="auto", description="where models run, as torch names it; auto: CUDA where there is one"
    )
    threads: int = Field(
        default=0, ge=0, description="threads that models may use; 0: as many as OMP_NUM_THREADS says, or cores"
    )
    database_url: str = Field(
        default="", description="where analyses are kept; for PostgreSQL `postgresql+psycopg://...`"
    )
    max_body_bytes: int = Field(default=2_000_000, ge=1, description="largest body of a request")
    max_texts: int = Field(default=1_000, ge=1, le=MOST_TEXTS, description="most texts in a request")
    max_characters: int = Field(default=100_000, ge=1, description="longest text in a request, in code points")
    max_usages: int = Field(default=2_000, ge=1, description="most occurrences of the target in a request")
    max_vector_values: int = Field(
        default=2_000_000, ge=1, description="most numbers in an answer of vectors: usages x layers x width"
    )
    max_attention_cells: int = Field(
        default=2_000_000, ge=1, description="most weights in an answer: layers x heads x units x units"
    )
    max_upload_bytes: int = Field(default=50_000_000, ge=1, description="largest body of POST /v1/jobs")
    upload_seconds: float = Field(
        default=600, gt=0, description="longest that the body of POST /v1/jobs may take to arrive, in seconds"
    )
    max_job_texts: int = Field(default=20_000, ge=1, le=MOST_TEXTS, description="most texts in a job")
    max_job_usages: int = Field(default=20_000, ge=1, description="most occurrences of the target in a job")
    async_texts: int = Field(
        default=100, ge=0, description="beyond so many texts POST /v1/senses makes a job for `Prefer: respond-async`"
    )
    run_jobs: bool | None = Field(
        default=None, description="whether the service runs jobs itself; when not said, on SQLite only"
    )
    job_lease: float = Field(
        default=15.0, gt=0, description="seconds after which the jobs of a worker that is silent are taken over"
    )

    def for_jobs(self) -> Settings:
        """The same, with the limits of a job in place of those of a request."""
        return self.model_copy(update={"max_texts": self.max_job_texts, "max_usages": self.max_job_usages})

    queue_size: int = Field(
        default=256, ge=1, description="most requests that wait for the model or have it; beyond: 503"
    )
    deadline_seconds: float = Field(
        default=600, gt=0, description="longest that a request may take, in seconds; then its work is dropped"
    )

    api_keys: tuple[ApiKey, ...] = Field(
        default=(), description="who may use the service, as a JSON list of name:sha256; `polyseme key NAME` makes one"
    )
    allow_no_keys: bool = Field(
        default=False, description="true: serve without keys on an address that other machines reach"
    )
    requests_per_minute: int = Field(
        default=0, ge=0, description="most requests a minute of a key, or of an address without keys; 0: any number"
    )
    body_seconds: float = Field(
        default=30, gt=0, description="longest that the body of a request may take to arrive, in seconds"
    )
    drain_seconds: int = Field(
        default=30, ge=0, description="how long requests may go on when the service is told to stop, in seconds"
    )

    @property
    def pairs(self) -> Path:
        """The folder of what `polyseme fit-pairs` learnt."""
        return self.home / "pairs"

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.home / 'polyseme.db'}"
