import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The oldest Debian whose Node.js is new enough. */
const RELEASE = "trixie";

/** A minimal Debian at `target`, a directory or an archive, with what the package needs and other packages. */
export function makeDebian(target: string, ...packages: readonly string[]): void {
	const include = ["adduser", "nodejs", ...packages].join(",");
	const words = ["--variant=minbase", "--quiet", `--include=${include}`, RELEASE, target];
	execFileSync("mmdebstrap", words, { stdio: ["ignore", "ignore", "inherit"] });
}

/** A minimal Debian in a directory, with its own Node.js and the network of this machine. Root only. */
export class CleanDebian {
	readonly root: string;

	/** `packages`: what else there is in it. */
	constructor(...packages: readonly string[]) {
		if (process.getuid?.() !== 0) throw new Error("a chroot needs root: run `npm run test:deb` as root");
		this.root = mkdtempSync(join(tmpdir(), "novacompat-debian-"));
		makeDebian(this.root, ...packages);
		execFileSync("mount", ["-t", "proc", "proc", join(this.root, "proc")]);
	}

	/** Runs a command in it, as root. */
	run(...command: readonly string[]): SpawnSyncReturns<string> {
		return spawnSync("chroot", [this.root, ...command], { encoding: "utf8", env: ENVIRONMENT });
	}

	/** The same in the shell, with what it prints. Throws when it fails. */
	sh(script: string): string {
		const { status, stdout, stderr } = this.run("sh", "-ec", script);
		if (status !== 0) throw new Error(`${script}: ${status}\n${stdout}${stderr}`);
		return stdout;
	}

	/** Starts a command in it as the user of the services. */
	startAsUser(command: readonly string[]) {
		const words = ["--userspec=novacompat:novacompat", this.root, ...command];
		return spawn("chroot", words, { stdio: ["ignore", "ignore", "pipe"], env: ENVIRONMENT });
	}

	/** Copies a file to the same name in `/tmp`. */
	take(file: string, name: string): void {
		copyFileSync(file, join(this.root, "tmp", name));
	}

	remove(): void {
		execFileSync("umount", [join(this.root, "proc")]);
		rmSync(this.root, { recursive: true, force: true });
	}
}

export const ENVIRONMENT = {
	PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
	LC_ALL: "C.UTF-8",
	DEBIAN_FRONTEND: "noninteractive",
};
