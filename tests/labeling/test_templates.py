"""Templates: label configs that work as they are, of any columns and values that can be shown and chosen."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import LabelConfigError
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.templates import TEMPLATES, choices_config, template

SCHEMA = pa.schema(
    {
        "comment": pa.string(),
        "delay": pa.float64(),
        "photo_url": pa.large_string(),
        "pixels": pa.binary(),
        "label": pa.string(),
        "meta": pa.struct({"a": pa.int64()}),
        "tags": pa.list_(pa.string()),
        "dep delay": pa.int64(),
    }
)
WORDS = ["carrier", "weather & wind", '"other"', "<none>"]


def made(name, show, values=WORDS):
    """Return what a template gives, read."""
    return LabelConfig.from_xml(template(name, show, [] if name == "pairwise" else values, SCHEMA))


def test_choices_are_asked_of_what_is_shown():
    """Every column is shown under its name, and the choices are those given, whatever characters they hold."""
    config = LabelConfig.from_xml(choices_config(["comment", "delay", "pixels", "meta", "tags"], WORDS, SCHEMA))
    assert [(each.name, each.tag) for each in config.objects] == [
        ("comment", "Text"), ("delay", "Text"), ("pixels", "Image"), ("meta", "Table"), ("tags", "Text"),
    ]  # fmt: skip
    assert config.answer.values == tuple(WORDS)
    assert (config.answer.name, config.answer.to_name, config.answer.multiple) == ("label", ("comment",), False)
    assert config.columns == ("comment", "delay", "pixels", "meta", "tags")
    assert config.xml.count("<Header") == 5
    assert "<Header" not in choices_config(["comment"], WORDS, SCHEMA)


@pytest.mark.parametrize(
    ("name", "show", "control", "of"),
    [
        ("text-classification", ["delay", "comment"], "Choices", "delay"),
        ("ner", ["delay", "comment", "photo_url"], "Labels", "comment"),
        ("image-boxes", ["comment", "photo_url"], "RectangleLabels", "photo_url"),
        ("image-boxes", ["comment", "photo_url", "pixels"], "RectangleLabels", "pixels"),
        ("image-classification", ["delay", "comment"], "Choices", "comment"),
        ("pairwise", ["comment", "label", "delay"], "Pairwise", "comment,label"),
        ("pairwise", ["pixels", "photo_url"], "Pairwise", "pixels,photo_url"),
    ],
)
def test_each_template_asks_its_question(name, show, control, of):
    """The control speaks of the column that it can be asked of; all columns are shown."""
    config = made(name, show)
    assert [(each.tag, ",".join(each.to_name)) for each in config.controls] == [(control, of)]
    assert sorted(config.columns) == sorted(show)
    if name.startswith("image"):
        assert config.media[0] == of


def test_a_column_may_be_called_as_the_control_would_be():
    """The control gives way, since results need names that are there once."""
    config = made("ner", ["label"])
    assert (config.controls[0].name, config.objects[0].name) == ("label_", "label")


@pytest.mark.parametrize(
    ("name", "show", "values", "said"),
    [
        ("text-clasification", ["comment"], WORDS, "no template 'text-clasification'; did you mean 'text-classification'"),
        ("ner", [], WORDS, "shows nothing"),
        ("ner", ["coment"], WORDS, "no column 'coment' to show; did you mean 'comment'"),
        ("ner", ["dep delay"], WORDS, "call the column 'dep_delay' in the data"),
        ("ner", ["comment"], [], "asks nothing"),
        ("ner", ["delay"], WORDS, "ner wants a text: none of delay is one"),
        ("image-boxes", ["delay"], WORDS, "image-boxes wants a picture"),
        ("pairwise", ["comment"], [], "compares two columns"),
        ("pairwise", ["comment", "label"], ["a"], "takes no choices"),
        ("ner", ["comment"], ["a", "a"], "'a' is there twice"),
        ("ner", ["comment"], ["a", " "], "has no text"),
        ("ner", ["comment"], ["$5"], "where Label Studio puts data"),
        ("ner", ["comment"], ["a\x00"], "which no XML can hold"),
    ],
)  # fmt: skip
def test_what_no_page_can_be_made_of_is_refused(name, show, values, said):
    """The column, the value, and what to do are named."""
    with pytest.raises(LabelConfigError) as raised:
        template(name, show, values, SCHEMA)
    assert said in str(raised.value)


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(set(TEMPLATES) - {"pairwise"})),
    values=st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True),
)
def test_values_come_back_as_they_went_in(name, values):
    """What can be written as XML is a value of the control, character for character; else it is refused."""
    try:
        config = made(name, ["comment"], values)
    except LabelConfigError:
        assert any(set(value) & {chr(code) for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)}
                   or "$" in value or not value.strip() or any("\ud800" <= char <= "\udfff" for char in value)
                   for value in values)  # fmt: skip
        return
    assert config.controls[0].values == tuple(values)
