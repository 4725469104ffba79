import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CHROMIUM = "/usr/bin/chromium";

/** Headless and by itself: nothing is asked of the network, nothing is left behind. */
const OPTIONS = [
	"--headless",
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];

/** The document of a page after Chromium has read and laid it out, as HTML. */
export function dumpDom(url: string): string {
	if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: run test/support/install-peers.sh`);
	const profile = mkdtempSync(join(tmpdir(), "novacompat-chromium-"));
	try {
		const { status, stdout, stderr } = spawnSync(
			CHROMIUM,
			[...OPTIONS, `--user-data-dir=${profile}`, "--dump-dom", url],
			{ encoding: "utf8", timeout: 60_000, maxBuffer: 256 * 1024 * 1024 },
		);
		if (status !== 0) throw new Error(`chromium ended with ${status}: ${stderr}`);
		return stdout;
	} finally {
		rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
	}
}
