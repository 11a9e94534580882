"""docs/data-model.md is what the models and the database say. ``make data-model`` writes it anew."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Mapper

from checkout_service.database.engine import Base
from tests.conftest import ROOT
from tests.migrations.data_model import explanations, render

PAGE = ROOT / "docs" / "data-model.md"


def test_the_page_is_what_the_models_and_the_database_say(superuser: Engine) -> None:
    made = render(superuser)
    if os.environ.get("WRITE_DATA_MODEL"):
        PAGE.write_text(made, encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == made, "run make data-model"


@pytest.mark.parametrize(
    "mapper",
    sorted(Base.registry.mappers, key=lambda mapper: str(mapper.local_table)),
    ids=lambda mapper: str(mapper.local_table),
)
def test_every_column_is_explained(mapper: Mapper[object]) -> None:
    words = explanations(mapper.class_)

    assert {column.name for column in mapper.columns} - words.keys() - {"id", "created_at", "updated_at"} == set()
