"""How pages look: one column on a phone, light or dark as the reader's system is, and readable when printed."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
.dp{--ink:#1c2128;--soft:#59636e;--line:#d1d9e0;--back:#fff;--panel:#f6f8fa;--one:#2f6fd6;--two:#b4540a;--good:#1a7f37;
--goodback:#dafbe1;--bad:#b42318;--badback:#ffebe9;--warn:#8a5a00;--warnback:#fff5cc;--focus:#2f6fd6;
color:var(--ink);background:var(--back);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
@media (prefers-color-scheme:dark){.dp{--ink:#e6edf3;--soft:#9aa5b1;--line:#353c45;--back:#0f1419;--panel:#181e25;
--one:#6ea8ff;--two:#f5a25d;--good:#5fd479;--goodback:#12301b;--bad:#ff8e84;--badback:#3c1618;--warn:#f0c24b;
--warnback:#3a2f0c;--focus:#8fbcff}}
.dp *{box-sizing:border-box}.dp h1{font-size:1.45em;line-height:1.25;margin:0 0 .2em}
.dp h2{font-size:1.1em;margin:2em 0 .6em}.dp h3{font-size:1em;margin:1.2em 0 .4em}
.dp p{margin:.3em 0}.dp .soft{color:var(--soft)}.dp a{color:var(--one)}
.dp code,.dp .code{font:13px/1.5 ui-monospace,SFMono-Regular,Consolas,monospace}
.dp :focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:4px}
.dp .skip{position:absolute;left:-100em}.dp .skip:focus{left:1em;top:1em;background:var(--back);padding:.5em 1em}
.dp .cards{display:flex;flex-wrap:wrap;gap:.7em;margin:1em 0;padding:0;list-style:none}
.dp .cards li{border:1px solid var(--line);border-radius:8px;background:var(--panel);padding:.5em 1em;min-width:7em}
.dp .cards b{display:block;font-size:1.45em;line-height:1.3;font-variant-numeric:tabular-nums}
.dp .cards span{color:var(--soft)}
.dp .good{color:var(--good)}.dp .bad{color:var(--bad)}.dp .warn{color:var(--warn)}
.dp .contents ul{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.3em .9em}
.dp section{border-top:1px solid var(--line);padding:.1em 0 1em;scroll-margin-top:1em}
.dp .tag{display:inline-block;border:1px solid var(--line);border-radius:1em;padding:0 .65em;font-size:.8em;
font-weight:400;vertical-align:.1em;white-space:nowrap}
.dp .tag.good{background:var(--goodback)}.dp .tag.bad{background:var(--badback)}.dp .tag.warn{background:var(--warnback)}
.dp .scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:.4em 0}
.dp table{overflow-wrap:break-word;border-collapse:collapse;width:100%;margin:0;font-size:.92em;color:inherit;background:none}
.dp caption{text-align:left;padding:.4em .8em;color:var(--soft)}
.dp th,.dp td{padding:.3em .8em;text-align:left;vertical-align:top;border-top:1px solid var(--line);background:none;color:inherit}
.dp thead th{background:var(--panel);white-space:nowrap}.dp table>:first-child tr:first-child>*{border-top:0}
.dp tbody th{font-weight:600}.dp .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.dp .grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19em),1fr));gap:.4em 2em;align-items:start}
.dp figure{margin:.6em 0}.dp figcaption{color:var(--soft);font-size:.88em}
.dp svg{display:block;width:100%;height:auto;max-width:34rem;overflow:visible}
.dp svg .one{fill:var(--one)}.dp svg .two{fill:var(--two)}.dp svg .axis{stroke:var(--line)}
.dp .ends{display:flex;justify-content:space-between;gap:1em;max-width:34rem;color:var(--soft);font-size:.82em}
.dp .small{display:block;width:8em}.dp .small svg{height:2em}
.dp .key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .35em 0 .9em}
.dp .key.one{background:var(--one);margin-left:0}.dp .key.two{background:var(--two)}
.dp .meter{display:block;height:.55em;min-width:5em;border-radius:1em;background:var(--line);overflow:hidden}
.dp .meter i{display:block;height:100%;background:var(--one)}.dp .meter.warn i{background:var(--warn)}
.dp .meter.bad i{background:var(--bad)}
.dp details{margin:.5em 0}.dp summary{cursor:pointer;color:var(--soft)}
@media print{.dp .scroll{overflow:visible}.dp section{break-inside:avoid}}
"""

FRAME: Final = """html{background:#fff}@media (prefers-color-scheme:dark){html{background:#0f1419}}body{margin:0}
body>.dp{max-width:1100px;margin:0 auto;padding:1.5em 1em 4em}@media (min-width:40em){body>.dp{padding:2em 2em 4em}}"""
