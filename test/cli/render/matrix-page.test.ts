import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { matrixPage } from "../../../src/cli/render/matrix-page.ts";
import { matrix } from "../../../src/compat/matrix.ts";
import { DEFAULT_POLICY } from "../../../src/compat/policy.ts";
import { dumpDom } from "../../support/chromium.ts";
import { mdev } from "../../support/devices.ts";

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A script that a page runs after its own, and that writes what the browser made of the page into its title. */
const PROBE = `<script>
const cells = [...document.querySelectorAll("td[title]")];
const shown = cells.map((cell) => [cell.className, cell.textContent, getComputedStyle(cell).backgroundColor, cell.title]);
document.title = "PROBE" + JSON.stringify({
	shown: shown.slice(0, 12),
	count: cells.length,
	colours: new Set(shown.map(([kind, , colour]) => kind + colour)).size,
	kinds: new Set(shown.map(([kind]) => kind)).size,
	headings: [...document.querySelectorAll("h3, th")].map((heading) => heading.textContent).filter(Boolean).slice(0, 12),
	strangers: document.querySelectorAll("script:not(:last-of-type), img, link, iframe, b").length,
	wide: document.documentElement.scrollWidth > innerWidth,
});
</script>`;

interface Probed {
	readonly shown: readonly (readonly [string, string, string, string])[];
	readonly count: number;
	readonly colours: number;
	readonly kinds: number;
	readonly headings: readonly string[];
	readonly strangers: number;
	readonly wide: boolean;
}

/** The page as it is, but for its policy, which forbids the probe. */
function probe(html: string): Probed {
	const page = join(directory, "matrix.html");
	writeFileSync(page, html.replace(/<meta http-equiv=[^>]*>/, "").replace("</body>", `${PROBE}</body>`));
	const title = /<title>PROBE(.*?)<\/title>/s.exec(dumpDom(`file://${page}`))?.[1];
	if (title === undefined) throw new Error("the probe did not run");
	return JSON.parse(
		title.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&nbsp;", "\u00a0").replaceAll("&amp;", "&"),
	);
}

const host = (name: string, software_version: string, mdev_type = "vendor-type") => ({
	host: name,
	devices: [mdev("p/t", { software_version, mdev_type }, { kind: "mdev_type" })],
});

describe("the page in Chromium", { timeout: 120_000 }, () => {
	test("three hosts: a cell per pair, its colour, its letter, the reason as its title", () => {
		const found = matrix([host("cmp-01", "1.0.1"), host("cmp-02", "1.0.0"), host("cmp-03", "1.1.0")], DEFAULT_POLICY);
		const { shown, count, colours, kinds, headings, strangers, wide } = probe(matrixPage(found));
		expect(headings).toEqual(["mdev vendor-type", "cmp-01", "cmp-02", "cmp-03", "cmp-01", "cmp-02", "cmp-03"]);
		expect(shown.map(([kind, letter]) => `${letter} ${kind}`)).toEqual([
			"W warnings",
			"A accept",
			"A accept",
			"A accept",
			"R reject",
			"R reject",
		]);
		expect(shown[0]?.[3]).toMatch(
			/^cmp-01 -> cmp-02: accept with warnings\nversion\.bugfix_downgrade: software_version 1\.0\.1/,
		);
		expect({ count, colours, kinds, strangers, wide }).toEqual({
			count: 6,
			colours: 3,
			kinds: 3,
			strangers: 0,
			wide: false,
		});
	});

	test("names of hosts and devices are text, whatever is in them", () => {
		const evil = `"'><b onmouseover=alert(1)><script>document.title='hit'</script>&lt;\u202e`;
		const page = matrixPage(matrix([host(evil, "1.0.0", evil), host("cmp-02", "2.0.0", evil)], DEFAULT_POLICY));
		expect(page).not.toContain("<script>");
		const { strangers, headings } = probe(page);
		expect(strangers).toBe(0);
		expect(headings).toContain(`mdev ${evil.replace("\u202e", "\\u202e")}`);
	});

	test("a hundred hosts fit: the table scrolls, the page does not", () => {
		const hosts = Array.from({ length: 100 }, (_, index) => host(`compute-${index}.example.org`, `1.${index % 3}.0`));
		const { count, wide } = probe(matrixPage(matrix(hosts, DEFAULT_POLICY)));
		expect({ count, wide }).toEqual({ count: 9900, wide: false });
	});
});

test("the page needs nothing from anywhere", () => {
	const page = matrixPage(matrix([host("cmp-01", "1.0.0"), host("cmp-02", "1.0.0")], DEFAULT_POLICY));
	expect(page).toContain("default-src 'none'");
	expect(page).not.toMatch(/https?:|src=|href=|@import|url\(/);
	expect(page).toContain("color-scheme: light dark");
});
