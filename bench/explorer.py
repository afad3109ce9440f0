"""Time what a reader of the explorer waits for, in Chromium: from the action to what it shows.

Each repetition has a picture that the service has not seen. Layers are run at 512 pixels, as the page does unless told.
A box is drawn once everything is there about the one before it; the last one as soon as the one before it is shown.

Prints a table and writes bench/results/explorer.json.

    python bench/explorer.py
"""

import argparse
import base64
import io
import json
import os
import shutil
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
from screens import served  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "explorer.json"
SIZES = ((32, 24), (512, 384), (1024, 768))
LAYER = "block2"

# Does something and resolves to the milliseconds until something is shown, looked for at each frame.
TIMED = """([action, shown]) => new Promise((resolve, reject) => {
    const [act, isThere] = [action, shown].map((code) => eval(code));
    const start = performance.now();
    act();
    (function look() {
        const now = performance.now() - start;
        if (isThere()) resolve(now);
        else if (now > 60000) reject(new Error(`not shown: ${shown}`));
        else requestAnimationFrame(look);
    })();
})"""
GIVE = """() => {{
    const data = new DataTransfer();
    const bytes = Uint8Array.from(atob("{content}"), (c) => c.charCodeAt(0));
    data.items.add(new File([bytes], "it.jpg", {{type: "image/jpeg"}}));
    const input = document.querySelector("#file");
    input.files = data.files;
    input.dispatchEvent(new Event("change"));
}}"""
BOX = """() => {{
    const numbers = {numbers};
    document.querySelector("scs-finds tbody")?.setAttribute("data-old", "");
    for (const name in numbers) document.querySelector(`scs-ask input[name=${{name}}]`).value = numbers[name];
    document.querySelector("scs-ask input[name=height]").dispatchEvent(new Event("change"));
}}"""
FOUND = """() => document.querySelector("scs-finds tbody:not([data-old])")
    && document.querySelector("scs-finds caption").textContent.includes("{where}")"""


def picture(width, height, seed):
    """A photograph of that size as JPEG, base64, with noise that no other has."""
    cat = Image.open(ROOT / "docs" / "pictures" / "cat.jpg").resize((width, height), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(seed).integers(-4, 5, (height, width, 3))
    buffer = io.BytesIO()
    Image.fromarray((np.asarray(cat) + noise).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()


def box(width, height, at):
    """A box of a seventh of the picture, another one for each number."""
    return {"x": width // 4 + at, "y": height // 4, "width": max(8, width // 7), "height": max(8, height // 7)}


def once(page, size, seed):
    """Milliseconds of each step, for one new picture."""

    def timed(action, shown):
        return page.evaluate(TIMED, [action, shown])

    def click(selector, shown):
        return timed(f"() => document.querySelector({selector!r}).click()", shown)

    def asked(at, where, rests=True):
        shown = timed(BOX.format(numbers=json.dumps(box(*size, at))), FOUND.format(where=where))
        if rests:
            page.locator('scs-finds [data-where="class_map"]').wait_for()  # what is asked last
        return shown

    give = GIVE.format(content=picture(*size, seed))
    found = {"first heatmap": timed(give, '() => document.querySelector(".layer img")')}
    found["a layer opened"] = click(f'.layer[data-layer="{LAYER}"]', '() => document.querySelector(".channel canvas")')
    page.locator(".bar").first.wait_for()
    found["a class's map"] = click(".bar", '() => document.querySelector("scs-classes .numbers")?.textContent')
    found["first box, in the pixels"] = asked(0, "pixels")
    found["second box, in the pixels"] = asked(1, "pixels")
    page.locator(f'[data-where="{LAYER}"]').click()
    found[f"third box, in {LAYER}"] = asked(2, LAYER, rests=False)
    found["fourth box, straight after it"] = asked(3, LAYER)
    found["similarity under the pointer"] = pointer(page)
    return found


def pointer(page):
    """Milliseconds from a move of the pointer to the map of what is similar to the place below it."""
    page.get_by_label("Similarity", exact=True).check()
    area = page.locator(".surface").bounding_box()
    move = """() => document.querySelector(".surface").dispatchEvent(new PointerEvent("pointermove",
        {{clientX: {x}, clientY: {y}, bubbles: true, pointerId: 1}}))"""
    times, before = [], ""
    for part in (0.3, 0.4, 0.5, 0.6, 0.7):
        code = move.format(x=area["x"] + part * area["width"], y=area["y"] + part * area["height"])
        shown = f'() => document.querySelector("scs-unit .numbers").textContent !== {json.dumps(before)}'
        times.append(page.evaluate(TIMED, [code, shown]))
        before = page.locator("scs-unit .numbers").first.text_content()
    return statistics.median(times[1:])


def summary(times):
    return {"median_ms": round(statistics.median(times), 1), "range_ms": [round(min(times), 1), round(max(times), 1)]}


def measured(browser, address, repetitions):
    results = {}
    for size in SIZES:
        runs = []
        for seed in range(repetitions + 1):
            context = browser.new_context(viewport={"width": 1280, "height": 1400}, bypass_csp=True)
            page = context.new_page()
            page.goto(f"{address}/")
            page.locator("scs-models tbody tr").first.wait_for()
            runs.append(once(page, size, seed))
            context.close()
        # The first run compiles and fills caches.
        results["{}x{}".format(*size)] = {step: summary([run[step] for run in runs[1:]]) for step in runs[0]}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    load = os.getloadavg()[0]
    with served() as address, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        machine = {"cores": os.cpu_count(), "load_before": round(load, 1), "chromium": browser.version}
        machine |= {name: version(name) for name in ("onnxruntime", "numpy", "playwright")}
        results = {"machine": machine, "repetitions": repetitions, "sizes": measured(browser, address, repetitions)}
        browser.close()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for size, steps in results["sizes"].items():
        for step, figure in steps.items():
            low, high = figure["range_ms"]
            print(f"{size:>9}  {step:30} {figure['median_ms']:8.1f} ms ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
