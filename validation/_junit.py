"""A report as JUnit XML, which build servers show: a test case per check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from dataplat.validation.report import CheckOutcome, Report

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """Return the report as JUnit XML: failed checks are failures, unanswered ones errors, those not asked skipped."""
    failed = {id(check) for check in report.failed}
    suite = ET.Element("testsuite", {
        "name": _clean(f"{report.contract} on {report.data}" if report.data else report.contract),
        "tests": str(len(report.checks)),
        "failures": str(sum(id(check) in failed and check.status != "could not check" for check in report.checks)),
        "errors": str(sum(check.status == "could not check" for check in report.checks)),
        "skipped": str(sum(check.status == "not asked" and id(check) not in failed for check in report.checks)),
        "time": f"{report.seconds or 0:.3f}",
    })  # fmt: skip
    for check in report.checks:
        _case(suite, check, report, failed=id(check) in failed)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, check: CheckOutcome, report: Report, *, failed: bool) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": _clean(report.contract), "name": _clean(check.title)})
    line = _clean(" ".join(check.line().split()))
    if check.status == "could not check":
        ET.SubElement(case, "error", {"message": line})
    elif failed:
        found = ET.SubElement(case, "failure", {"message": line})
        found.text = _clean("\n".join(str(example) for example in check.examples))
    elif check.status == "not asked":
        ET.SubElement(case, "skipped", {"message": line})
    elif check.status == "warned":
        ET.SubElement(case, "system-out").text = line


def _clean(text: str) -> str:
    """Leave out what XML cannot hold."""
    return _FORBIDDEN.sub("\ufffd", text)
