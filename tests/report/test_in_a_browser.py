"""The report in a headless Chromium, from a file, without a network."""

import itertools
import struct
import zlib
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.results.synthetic_study import make_study
from tests.servers import until
from xtreme_dag.core.home import Home
from xtreme_dag.report.content import read_content
from xtreme_dag.report.html import write_page
from xtreme_dag.results.landing import land

CHARTS = ("forest", "heat", "by_language", "gap", "learning", "cost", "loss", "dev")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    home = tmp_path_factory.mktemp("browser") / "home"
    made = make_study(
        home, name="demo", n=80, splits=("test",), languages=("en", "de", "sw", "ar", "th"), slope=0.05,
        conditions={"none": 0.5, "english": 0.62, "mixed <b>&": 0.7, "shuffled": 0.5},
    )  # fmt: skip
    from tests.report.test_html import nasty_predictions

    nasty_predictions(made, "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>")
    made.study = replace(made.study, question="Does mixed-language training <i>really</i> win?")
    made.evaluations = [
        replace(row, supervision="source" if row.language == "en" else "same task" if row.language == "de" else "none")
        if row.condition.startswith("mixed")
        else replace(row, supervision="source" if row.language == "en" else "none")
        for row in made.evaluations
    ]
    land(Home(home), *made.arguments)
    return write_page(with_curves(read_content(Home(home), "demo")), home / "reports" / "demo.html")


def with_curves(content):
    """What was read, with learning curves of one language and the course of some trainings."""
    learning = [
        {"curve": curve, "condition": f"{curve}_{count}", "task": "xnli", "language": "sw", "metric": "accuracy",
         "examples": count, "value": 50 + start + count / 10, "seeds": 2, "by_seed": [49 + start + count / 10, 51 + start + count / 10],
         "low": 45 + start, "high": 56 + start + count / 10}
        for curve, start in (("none", 0), ("english", 9)) for count in (0, 10, 50, 250)
    ]  # fmt: skip
    curves = [
        {"condition": condition, "target": target, "step": 1, "measure": measure, "optimizer_step": step, "value": 1 / (step + 1)}
        for condition in ("none", "english") for target in ("", "xnli") for measure in ("loss", "dev") for step in range(0, 9800, 700)
    ]  # fmt: skip
    return replace(content, learning=tuple(learning), curves=tuple(curves))


@pytest.fixture
def page(browser, report):
    browser.open(report)
    return browser


def pixels(png):
    """Colours of an 8-bit RGB(A) PNG, as a set of byte tuples, from the top on until something is seen to be drawn."""
    width, _, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8
    channels = {2: 3, 6: 4}[kind]
    data, place = b"", 8
    while place < len(png):
        (length,), name = struct.unpack(">I", png[place : place + 4]), png[place + 4 : place + 8]
        if name == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += length + 12
    raw, stride = zlib.decompress(data), width * channels + 1
    colours, above = set(), bytearray(stride - 1)
    for start in range(0, len(raw), stride):
        row, mode = bytearray(raw[start + 1 : start + stride]), raw[start]
        for i in range(len(row)):
            left = row[i - channels] if i >= channels else 0
            up, corner = above[i], above[i - channels] if i >= channels else 0
            if mode == 1:
                row[i] = (row[i] + left) & 255
            elif mode == 2:
                row[i] = (row[i] + up) & 255
            elif mode == 3:
                row[i] = (row[i] + (left + up) // 2) & 255
            elif mode == 4:
                guess = left + up - corner
                best = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
                row[i] = (row[i] + best[2]) & 255
        colours |= {bytes(row[i : i + 3]) for i in range(0, len(row), channels)}
        above = row
        if len(colours) > 20:
            break
    return colours


def test_it_opens_without_an_error_and_asks_nothing_of_the_network(page, report):
    assert page.errors == []
    assert page.requests == [report.absolute().as_uri()]


@pytest.mark.parametrize("dark", [False, True])
def test_charts_are_drawn(browser, report, dark):
    browser.open(report, dark=dark)
    for name in CHARTS:
        assert browser.js(f"document.getElementById('chart-{name}').dataset.drawn") == "yes"
        colours = pixels(browser.screenshot(selector=f"#chart-{name}"))
        assert len(colours) > 20, f"{name} has {len(colours)} colours"
    assert browser.errors == []


def test_charts_are_saved_as_files(page, tmp_path):
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for name in CHARTS:
        for form in ("svg", "png"):
            page.click(f"button[data-chart={name}][data-form={form}]")
            until(lambda: (tmp_path / f"{name}.{form}").exists(), 60)  # noqa: B023
        drawing = (tmp_path / f"{name}.svg").read_text()
        assert ElementTree.fromstring(drawing).tag.endswith("svg") and "var(--" not in drawing
        assert "url(#hatch)" not in drawing or 'id="hatch"' in drawing
        assert len((tmp_path / f"{name}.png").read_bytes()) > 5000
    assert "url(#hatch)" in (tmp_path / "heat.svg").read_text()
    assert len(pixels((tmp_path / "heat.png").read_bytes())) > 20
    assert page.errors == []


def test_dark_is_dark_and_the_button_switches(page):
    def brightness():
        rgb = page.js("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        return sum(rgb) / 3

    assert brightness() > 200
    page.click("#theme")
    assert brightness() < 60
    page.click("#theme")
    assert brightness() > 200


def labels(page):
    """The languages of the heat map from top to bottom, as its text elements stand."""
    return page.js(
        "[...document.querySelectorAll('#chart-heat .role-axis-label text')].filter(e => /\\(\\w+\\)$/.test(e.textContent))"
        ".map(e => [e.getBoundingClientRect().y, e.textContent]).sort((a, b) => a[0] - b[0]).map(p => p[1])"
    )


def table(page, column):
    return page.js(f"[...document.querySelectorAll('#heat-body tr')].map(r => r.children[{column}].textContent)")


def test_the_heat_map_is_filtered_by_family_and_script(page):
    assert labels(page) == ["Arabic (ar)", "English (en)", "German (de)", "Swahili (sw)", "Thai (th)"]
    page.choose("#heat-family", "Indo-European: Germanic")
    page.wait("document.querySelectorAll('#heat-body tr').length === 2")
    page.wait("document.getElementById('heat-count').textContent === '2 of 5 languages'")
    page.wait("document.querySelectorAll('#chart-heat .layer_0_marks path').length === 8")
    assert labels(page) == ["English (en)", "German (de)"] and table(page, 0) == labels(page)
    page.choose("#heat-family", "")
    page.choose("#heat-script", "Thai")
    page.wait("document.getElementById('heat-count').textContent === '1 of 5 languages'")
    assert table(page, 0) == ["Thai (th)"]
    assert page.errors == []


def test_a_click_on_a_head_sorts_table_and_map(page):
    page.js("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.click("#heat-table th[data-sort='c:english'] button")
    page.wait(
        "document.querySelector(\"#heat-table th[data-sort='c:english']\").getAttribute('aria-sort') === 'descending'"
    )
    values = [float(text.strip(" *°").replace("−", "-").replace("+", "")) for text in table(page, 4)]
    assert values == sorted(values, reverse=True) and len(values) == 5
    order = table(page, 0)
    page.wait(
        f"[...document.querySelectorAll('#chart-heat .role-axis-label text')].some(e => e.textContent === {order[0]!r})"
    )
    assert labels(page) == order
    page.click("#heat-table th[data-sort='name'] button")
    page.wait("document.querySelector('#heat-body th').textContent === 'Arabic (ar)'")
    assert table(page, 0) == sorted(order)


def test_scores_instead_of_differences_and_one_task(page):
    page.choose("#heat-show", "value")
    page.choose("#heat-task", "xnli")
    page.wait("!/[+*−]/.test(document.getElementById('heat-body').textContent.replace(/\\(.*?\\)/g, ''))")
    shown = [float(text.strip(" °")) for text in table(page, 3)]
    assert len(shown) == 5 and all(0 <= value <= 100 for value in shown)
    assert page.errors == []


def test_markup_in_the_data_is_text(page):
    assert page.js("window.hacked") is None
    assert page.js("document.querySelector('h1').textContent") == "Does mixed-language training <i>really</i> win?"
    shown = page.js("document.getElementById('predictions').textContent")
    assert "<script>window.hacked = true</script>" in shown and "\ufffd \U0001f469\u200d" in shown
    assert page.js("document.querySelectorAll('#predictions script, #predictions img').length") == 0
    assert "mixed <b>&" in page.js("document.getElementById('chart-heat').textContent")


def test_a_screen_reader_finds_names(page):
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {}
    for node in tree:
        named.setdefault(node.get("role", {}).get("value"), []).append(node.get("name", {}).get("value", ""))
    assert all(named["combobox"]) and all(named["button"]) and all(named["table"])
    graphics = [name for role in ("graphics-document", "image") for name in named.get(role, [])]
    for name in ("Differences to the baseline", "Heat map", "Transfer gap", "Cost of each condition"):
        assert any(name in graphic for graphic in graphics), (name, graphics)
    assert named["heading"][0] == "Does mixed-language training <i>really</i> win?"


def test_on_a_narrow_screen_nothing_sticks_out(browser, report):
    browser.open(report, width=400)
    assert browser.js("document.documentElement.scrollWidth") <= 400
    assert browser.errors == []


def test_it_prints(page):
    from base64 import b64decode

    pdf = b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    assert pdf.startswith(b"%PDF") and len(pdf) > 50_000


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (500, False)])
def test_axe_finds_no_violation(browser, report, axe, width, dark):
    browser.open(report, width=width, dark=dark)
    browser.js("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.js(f"{axe}; typeof axe.run")
    found = browser.js(
        "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map("
        "v => [v.id, v.help, ...v.nodes.slice(0, 3).map(n => n.target.join(' '))]))"
    )
    assert found == []


@pytest.mark.parametrize("width", [1280, 800, 500])
def test_labels_of_an_axis_do_not_overlap_and_the_page_is_not_wider_than_the_window(browser, report, width):
    browser.open(report, width=width)
    axes = browser.js(
        "[...document.querySelectorAll('.chart .role-axis-label')].map(a => [...a.querySelectorAll('text')]"
        ".filter(t => t.textContent && t.getAttribute('opacity') !== '0' && !/rotate\\((?!0)/.test(t.getAttribute('transform')))"
        ".map(t => { const b = t.getBoundingClientRect(); return [t.textContent, b.left, b.right, b.top, b.bottom]; }))"
    )
    assert sum(map(len, axes)) > 60
    for axis in axes:
        for one, other in itertools.combinations(axis, 2):
            apart = max(one[1], other[1]) - min(one[2], other[2]), max(one[3], other[3]) - min(one[4], other[4])
            assert max(apart) > -1, (one, other)
    assert browser.js("document.documentElement.scrollWidth") <= width


def test_seeds_are_dots_and_seen_languages_are_hatched(page):
    hatched = "[...document.querySelectorAll('#chart-{} path')].filter(p => getComputedStyle(p).fill.includes('#hatch')).length"
    assert page.js(hatched.format("forest")) > 0
    page.choose("#heat-task", "xnli")
    # English for three conditions and the baseline, German for one
    page.wait(hatched.format("heat") + " === 5")
    page.wait(hatched.format("by_language") + " === 4")
    # 5 languages, 3 conditions, 2 seeds
    assert page.js("document.querySelectorAll('#chart-by_language .child_layer_3_marks path').length") == 30
    page.choose("#heat-condition", "english")
    page.wait(hatched.format("by_language") + " === 1")
    assert page.errors == []


def test_on_paper_all_tables_are_open_and_no_chart_is_cut(page):
    page.js("window.dispatchEvent(new Event('beforeprint'))")
    assert page.js("document.querySelectorAll('details:not([open])').length") == 0
    page.js("window.dispatchEvent(new Event('afterprint'))")
    assert page.js("document.querySelectorAll('details[open]').length") == 0
    page.call("Emulation.setEmulatedMedia", media="print")
    page.resize(700, 900)
    assert page.js("[...document.querySelectorAll('.chart svg')].every(s => s.getBoundingClientRect().right <= 701)")
    page.call("Emulation.setEmulatedMedia", media="")
