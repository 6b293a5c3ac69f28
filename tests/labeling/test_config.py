"""Label configs: what they ask of data, what they refuse, what answers to them look like."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import LabelConfigError
from dataplat.labeling._plain_answers import joined, parted
from dataplat.labeling.config import LabelConfig

TEXT = '<Text name="t" value="$comment"/>'
MOOD = '<Choices name="mood" toName="t"><Choice value="good"/><Choice value="bad"/></Choices>'
EVERYTHING = """<?xml version="1.0" encoding="UTF-8"?>
<View>
  <!-- {"data": {"comment": "it is late"}} -->
  <Header value="Flight $flight: $meta.carrier"/>
  <Text name="t" value="$comment"/>
  <Image name="scan" value="$picture"/>
  <View style="display: flex">
    <Choices name="mood" toName="t" choice="multiple">
      <Choice value="good" alias="+"/>
      <View><Choice value="bad"/></View>
    </Choices>
  </View>
  <Labels name="span" toName="t"><Label value="Place"/></Labels>
  <RectangleLabels name="box" toName="scan" value="$kinds"/>
  <TextArea name="why" toName="t" perRegion="true"/>
  <Taxonomy name="tree" toName="t">
    <Choice value="a"><Choice value="b"/></Choice>
    <Choice value="c"/>
  </Taxonomy>
  <Rating name="stars" toName="t"/>
</View>
"""

PIECES = ["", "<", ">", "/>", "&amp;", "&x;", "<![CDATA[", "]]>", "<!--", "-->", '"', "$a", "{{idx}}", "<View>", "\x00"]


def view(*tags):
    """Return a config of these tags."""
    return f"<View>{''.join(tags)}</View>"


def read(*tags):
    """Return a config of these tags, read."""
    return LabelConfig.from_xml(view(*tags))


def test_a_config_is_read():
    """Controls, values, objects, columns and what is fetched are found, wherever they stand."""
    config = LabelConfig.from_xml(EVERYTHING)
    assert [(each.name, each.tag, each.column, each.media) for each in config.objects] == [
        ("t", "Text", "comment", False),
        ("scan", "Image", "picture", True),
    ]
    assert [(each.name, each.type, each.to_name, each.values) for each in config.controls] == [
        ("mood", "choices", ("t",), ("+", "bad")),
        ("span", "labels", ("t",), ("Place",)),
        ("box", "rectanglelabels", ("scan",), ()),
        ("why", "textarea", ("t",), ()),
        ("tree", "taxonomy", ("t",), ("a", "a / b", "c")),
        ("stars", "rating", ("t",), ()),
    ]
    by_name = {each.name: each for each in config.controls}
    assert (by_name["mood"].multiple, by_name["stars"].multiple) == (True, False)
    assert (by_name["why"].per_region, by_name["box"].dynamic) == (True, "kinds")
    assert config.columns == ("flight", "meta", "comment", "picture", "kinds")
    assert config.media == ("picture",)
    assert config.answer == by_name["mood"]
    assert config.xml.startswith("<View>")  # the server refuses a declaration of an encoding


@pytest.mark.parametrize(
    ("tags", "media"),
    [
        ('<Audio name="t" value="$sound"/>', ("sound",)),
        ('<Video name="t" value="$film"/>', ("film",)),
        ('<Image name="t" value="$meta.address"/>', ()),
        ('<Image name="t" valueList="$pages"/>', ("pages",)),
        ('<HyperText name="t" value="$page" valueType="url"/>', ("page",)),
        ('<HyperText name="t" value="$page"/>', ()),
        ('<HyperText name="t" value="x"><p>$title <img src="$picture"/></p></HyperText>', ("picture",)),
        ('<Paragraphs name="t" value="$talk" audioUrl="$sound"/>', ("sound",)),
        ('<TimeSeries name="t" value="$series"/>', ("series",)),
        ('<TimeSeries name="t" value="$series" valueType="json"/>', ()),
    ],
)
def test_media_are_what_the_page_fetches(tags, media):
    """Pictures, sounds, videos, and what says so, are fetched by URL; other columns are shown as they are."""
    config = read(tags, '<Rating name="stars" toName="t"/>')
    assert config.media == media
    assert set(media) <= set(config.columns) == {each.column for each in config.references}


def test_text_in_html_and_in_the_style_is_told_apart():
    """What HyperText holds is HTML, with data in it; a style is none."""
    config = read(
        "<Style>.a { content: '$no' }</Style>",
        '<HyperText name="t" value="$page">Dear $name, <Text name="x">$left</Text></HyperText>',
        MOOD,
    )
    assert config.columns == ("page", "name", "left")
    assert [each.name for each in config.objects] == ["t"]


def test_the_id_is_of_what_is_said():
    """White space, comments and the order of attributes say nothing; any value, tag or order of tags does."""
    one = LabelConfig.from_xml('<View><Text name="t" value="$a"/><Rating name="r" toName="t"/></View>')
    two = LabelConfig.from_xml(
        '\ufeff<?xml version="1.0"?>\n<View >\n <!-- so -->\n <Text value="$a" name="t"></Text><Rating toName="t" name="r"/>\n</View>'
    )
    others = [
        '<View><Text name="t" value="$b"/><Rating name="r" toName="t"/></View>',
        '<View><Rating name="r" toName="t"/><Text name="t" value="$a"/></View>',
        '<View><Header>so</Header><Text name="t" value="$a"/><Rating name="r" toName="t"/></View>',
    ]
    assert one.id == two.id
    assert len(one.id) == 16
    assert len({one.id, *(LabelConfig.from_xml(each).id for each in others)}) == 4


def test_values_gained_and_lost_are_told():
    """Another choice is new, one that is gone is removed; the config has another id."""
    before = read(TEXT, MOOD)
    after = read(TEXT, MOOD.replace("bad", "awful").replace("</Choices>", '<Choice value="none"/></Choices>'))
    assert after.added(before).new == (("mood", "awful"), ("mood", "none"))
    assert after.added(before).removed == (("mood", "bad"),)
    assert before.id != after.id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("   \n", "is empty"),
        ("config.xml", "line 1, column 1: syntax error (config.xml)"),
        ("<View>\n <Text name='t'\n</View>", "line 3, column 1: not well-formed (invalid token) (</View>)"),
        (f"<View>{TEXT}", "line 1, column 40: no element found"),
        (f"<View>{TEXT}</Viewer>", "line 1, column 42: mismatched tag"),
        ("<View>&nbsp;</View>", "undefined entity"),
        ("<View>\ud800</View>", "half of a surrogate pair"),
        ("<View>\x00</View>", "line 1, column 7: not well-formed"),
        ("<A>" * 200 + "</A>" * 200, "more than 100 elements within each other"),
        (view(TEXT), "asks nothing"),
        (view(MOOD.replace('toName="t"', 'toName="mood"')), "shows nothing"),
        (view(TEXT, MOOD.replace('toName="t"', 'toName="tt"')), "toName='tt', and nothing has that name; did you mean 't'?"),
        (view(TEXT, MOOD.replace('toName="t"', "")), '<Choices name="mood"> has no toName: give the name of what it speaks of, toName="t"'),
        (view(TEXT, MOOD.replace("toName", "toname")), "has no toName: write toname as toName"),
        (view(TEXT, MOOD.replace('name="mood"', "")), "<Choices> has no name"),
        (view('<Text name="t"/>', MOOD), 'has no value: say what it shows, as value="$column"'),
        (view(TEXT, '<Choices name="mood" toName="t"/>'), "nothing to choose from"),
        (view(TEXT, '<Labels name="mood" toName="t"><Choice value="a"/></Labels>'), 'has no <Label value="…"/>'),
        (view(TEXT, MOOD.replace('value="bad"', "")), "<Choice> has no value"),
        (view(TEXT, MOOD.replace("bad", "good")), "'good' is there twice in <Choices"),
        (f"<View>\n{TEXT}\n{TEXT}{MOOD}</View>", "line 3: <Text> has the name 't' of <Text> in line 2"),
        (view(TEXT, MOOD.replace("Choices", "Choises")), "no tag <Choises>; did you mean 'Choices'"),
        (view(TEXT.replace("Text", "text"), MOOD), "write <text> as <Text>"),
        (view(TEXT, MOOD, '<Rating name="r" toName="t" whenTagName="mod"/>'), "whenTagName='mod', and nothing has that name; did you mean 'mood'"),
        (view(TEXT, '<Pairwise name="p" toName="t,t"/>'), "compares two objects"),
        (view(TEXT, TEXT.replace('"t"', '"u"'), '<Pairwise name="p" toName="t, u"/>'), "write 'u', without blanks"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_meant_is_refused(text, said):
    """What is wrong, in which line, and what to do is said."""
    with pytest.raises(LabelConfigError) as raised:
        LabelConfig.from_xml(text)
    assert said in str(raised.value)


@given(st.data())
@settings(deadline=None)
def test_whatever_is_given_is_read_or_refused(data):
    """A config that somebody broke anywhere is read, or is a LabelConfigError; nothing else comes out."""
    text = EVERYTHING
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(st.sampled_from(PIECES) | st.text(max_size=5)) + text[end:]
    try:
        config = LabelConfig.from_xml(text)
        config.check(SCHEMA, SCHEMA.names)
    except LabelConfigError:
        return
    assert LabelConfig.from_xml(config.xml) == config


def test_a_bomb_of_entities_is_not_read():
    """A document type is refused before its entities grow or fetch anything."""
    bomb = "<!DOCTYPE b [<!ENTITY a 'aaaa'>" + "".join(
        f"<!ENTITY a{i} '{f'&a{i - 1 if i else str()};' * 10}'>" for i in range(20)
    )
    file = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">'
    for start in (bomb, file):
        with pytest.raises(LabelConfigError, match="<!DOCTYPE b> is not read"):
            LabelConfig.from_xml(f'{start}]><View><Text name="t" value="&a;"/></View>')


def test_tags_come_in_any_case_where_the_server_takes_them():
    """Results hold the tag in lower case, however it is written."""
    config = read('<PDF name="t" value="$page"/>', '<Datetime name="when" toName="t"/>')
    assert (config.objects[0].tag, config.controls[0].tag, config.controls[0].type) == ("Pdf", "DateTime", "datetime")


SCHEMA = pa.schema(
    {
        "comment": pa.dictionary(pa.int32(), pa.string()),
        "delay": pa.float64(),
        "when": pa.timestamp("us", "UTC"),
        "pixels": pa.binary(),
        "links": pa.list_(pa.string()),
        "meta": pa.struct({"author": pa.string(), "bytes": pa.binary(), "tags": pa.list_(pa.string())}),
        "more": pa.map_(pa.string(), pa.string()),
        "none": pa.null(),
        "Größe": pa.int64(),
        "dep delay": pa.int64(),
    }
)


@pytest.mark.parametrize(
    "tag",
    [
        '<Text name="t" value="$comment"/>',
        '<Text name="t" value="$delay"/>',
        '<Text name="t" value="$when, $delay minutes late"/>',
        '<Text name="t" value="$none"/>',
        '<Text name="t" value="$meta.author"/>',
        '<Text name="t" value="$meta.tags[0]"/>',
        '<Text name="t" value="$more.anything"/>',
        '<HyperText name="t" value="$delay"/>',
        '<Image name="t" value="$pixels"/>',
        '<Image name="t" valueList="$links"/>',
        '<Audio name="t" value="$comment"/>',
        '<Table name="t" value="$meta"/>',
        '<List name="t" value="$links"/>',
        '<View><Repeater on="$links"><Image name="t" value="$links[{{idx}}]"/></Repeater></View>',
        '<Text name="t" value="it costs $ 5"/>',
    ],
)
def test_what_can_be_shown_passes(tag):
    """Texts, numbers and times are text; media are addresses or bytes; lists, records and fields go where they are taken."""
    read(tag, '<Rating name="r" toName="t"/>').check(SCHEMA, SCHEMA.names)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ('<Text name="t" value="$coment"/>', 'line 1: <Text name="t"> refers to $coment in its value, but the data has no such column; did you mean \'comment\' or \'meta\'?'),
        ('<Text name="t" value="$delay"/>', "of the data only comment is shown: show delay, too"),
        ('<Text name="t" value="$pixels"/>', "the column is binary: <Text> takes text or a number or a list"),
        ('<Text name="t" value="$meta"/>', "refer to a field of it, as $column.field"),
        ('<Text name="t" value="$meta.auther"/>', "there is nothing at .auther; did you mean 'author'?"),
        ('<Text name="t" value="$comment[0]"/>', "there is nothing at [0]; comment is dictionary"),
        ('<Text name="t" value="so $links"/>', "<Text> takes text or a number"),
        ('<HyperText name="t" value="$links"/>', "<HyperText> takes text or a number"),
        ('<Image name="t" value="$delay"/>', "<Image> takes text or a list or bytes"),
        ('<Image name="t" valueList="$comment"/>', "<Image> takes a list"),
        ('<Audio name="t" value="$links"/>', "<Audio> takes text or bytes"),
        ('<Image name="t" value="$meta.bytes"/>', "give these bytes a column of their own"),
        ('<Repeater on="$comment"/><Text name="t" value="x"/>', "<Repeater> takes a list"),
        ('<Text name="t" value="$Größe"/>', "of 'Größe' Label Studio reads only letters a to z, digits and _: call the column 'Gr__e' in the data"),
        ('<Text name="t" value="$dep delay"/>', "call the column 'dep_delay'"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused(tag, said):
    """The tag, its line, the column, what it takes and what to do are named."""
    show = ["comment"] if "only comment" in said else SCHEMA.names
    with pytest.raises(LabelConfigError) as raised:
        read(tag, '<Rating name="r" toName="t"/>').check(SCHEMA, show)
    assert said in str(raised.value)


def test_columns_shown_must_be_there_and_leave_the_id_its_place():
    """A column that is not there is not shown, and none may be called as the id of a task."""
    config = read(TEXT, MOOD)
    with pytest.raises(LabelConfigError, match="no column 'coment' to show; did you mean 'comment'"):
        config.check(SCHEMA, ["coment"])
    with pytest.raises(LabelConfigError, match="may not be called dataplat_id"):
        config.check(SCHEMA.append(pa.field("dataplat_id", pa.string())), ["comment", "dataplat_id"])


def test_data_is_fit_to_what_the_server_takes():
    """Null becomes empty, numbers become text where they are shown; what no tag refers to stays."""
    config = read(
        '<Header value="$title"/><Text name="t" value="$delay"/><Paragraphs name="p" value="$talk"/>',
        '<Image name="i" value="$picture"/><Table name="u" value="$meta"/><Text name="v" value="$rec.field"/>',
        '<Choices name="c" toName="t" value="$options"/>',
    )
    empty = dict.fromkeys(["title", "delay", "talk", "picture", "meta", "options", "rest"])
    assert config.fit({**empty, "rec": {"field": None}}) == {
        "title": "", "delay": "", "talk": [], "picture": "", "meta": {}, "options": [], "rest": None, "rec": {"field": ""},
    }  # fmt: skip
    full = {"title": 1, "delay": 2.5, "talk": [{"text": "a"}], "picture": "a.png", "meta": {"a": 1}, "options": ["x"]}
    assert config.fit({**full, "rest": 3, "rec": {"field": 4}}) == {
        **full, "title": "1", "delay": "2.5", "rest": 3, "rec": {"field": "4"},
    }  # fmt: skip
    assert config.fit({"delay": True, "rec": None})["delay"] == "true"


ANSWERS = read(
    TEXT, '<Text name="u" value="$other"/>', MOOD,
    '<Choices name="many" toName="t" choice="multiple"><Choice value="a|b"/><Choice value="c"/><Choice value="d\\"/></Choices>',
    '<Rating name="stars" toName="t"/><Number name="much" toName="t"/><DateTime name="when" toName="t"/>',
    '<TextArea name="why" toName="t"/><Pairwise name="better" toName="t,u"/>',
    '<Taxonomy name="tree" toName="t"><Choice value="x"><Choice value="y"/></Choice></Taxonomy>',
    '<Labels name="span" toName="t"><Label value="A"/></Labels>',
    '<Choices name="each" toName="t" perRegion="true"><Choice value="q"/></Choices>',
)  # fmt: skip


@pytest.mark.parametrize(
    ("control", "given", "value", "label"),
    [
        ("mood", "good", {"choices": ["good"]}, "good"),
        ("mood", ["bad"], {"choices": ["bad"]}, "bad"),
        ("many", ["c", "a|b"], {"choices": ["c", "a|b"]}, "a\\|b|c"),
        ("many", "a|b", {"choices": ["a|b"]}, "a\\|b"),
        ("many", "a\\|b|d\\\\", {"choices": ["a|b", "d\\"]}, "a\\|b|d\\\\"),
        ("stars", "4", {"rating": 4}, "4"),
        ("stars", 4.0, {"rating": 4}, "4"),
        ("much", 2.5, {"number": 2.5}, "2.5"),
        ("when", "2026-11-28", {"datetime": "2026-11-28"}, "2026-11-28"),
        ("why", "late", {"text": ["late"]}, "late"),
        ("why", ["late", "again"], {"text": ["late", "again"]}, "late\nagain"),
        ("better", "right", {"selected": "right"}, "right"),
        ("better", "t", {"selected": "left"}, "left"),
        ("tree", "x / y", {"taxonomy": [["x", "y"]]}, "x / y"),
        ("tree", ["x", "y"], {"taxonomy": [["x", "y"]]}, "x / y"),
        ("tree", [["x"], ["x", "y"]], {"taxonomy": [["x"], ["x", "y"]]}, "x|x / y"),
    ],
)
def test_a_plain_answer_becomes_a_result_and_comes_back(control, given, value, label):
    """A result has the items that the editor writes, and gives the label that went in."""
    result = ANSWERS.result_of({control: given})
    assert [item["value"] for item in result] == [value]
    assert result[0]["from_name"] == control
    assert result[0]["to_name"] == "t"
    assert ANSWERS.label_of(json.loads(json.dumps(result)), control) == label
    assert ANSWERS.result_of({control: given}) == result
    assert ANSWERS.label_of(ANSWERS.result_of({control: label}), control) == label


def test_without_a_name_the_first_control_is_meant():
    """A plain label is of the first control that asks of the whole task; None is no answer."""
    assert ANSWERS.result_of("good")[0]["from_name"] == "mood"
    assert ANSWERS.label_of(ANSWERS.result_of({"stars": 3, "mood": "bad", "why": None})) == "bad"
    assert ANSWERS.result_of(None) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("god", "'god' is no choice of <Choices name=\"mood\">; did you mean 'good'?"),
        (["good", "bad"], "takes one answer, not 2 (good, bad)"),
        ({"stars": "many"}, "takes a number, not 'many'"),
        ({"stars": 1.5}, "takes a whole number, not 1.5"),
        ({"stars": float("nan")}, "takes a number"),
        ({"better": "up"}, "is no side of"),
        ({"moods": "good"}, "no control 'moods' that takes a plain answer; did you mean 'mood'?"),
        ({"span": "A"}, "no control 'span'"),
        ({"each": "q"}, "no control 'each'"),
    ],
)
def test_an_answer_that_nobody_could_give_is_refused(given, said):
    """What is given and what would be taken is said."""
    with pytest.raises(LabelConfigError) as raised:
        ANSWERS.result_of(given)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "result",
    [
        [],
        [{"type": "relation", "from_id": "a", "to_id": "b"}],
        [{"from_name": "span", "value": {"start": 0, "end": 1, "labels": ["A"]}}],
        [{"from_name": "mood", "value": {"choices": []}}],
        [{"from_name": "mood", "value": None}],
        [{"from_name": "mood"}],
    ],
)
def test_where_nothing_was_said_there_is_no_label(result):
    """Regions, relations and empty answers are no plain label."""
    assert ANSWERS.label_of(result) is None


def test_a_config_of_regions_takes_no_plain_answer():
    """It has no control that gives one, and says so."""
    config = read(TEXT, '<Labels name="span" toName="t"><Label value="A"/></Labels>')
    assert (config.answer, config.label_of([{"from_name": "span"}])) == (None, None)
    with pytest.raises(LabelConfigError, match="give regions as a result"):
        config.result_of("A")


@given(st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_choices_of_any_text_come_back(labels):
    """Several choices are one label from which they can be read again, whatever they are called."""
    assert set(parted(joined(labels))) == set(labels)
    assert joined(reversed(labels)) == joined(labels)
