import { LibvirtError } from "../agent/libvirt.ts";
import { OverlayError } from "../agent/overlay.ts";
import { SysfsError } from "../agent/sysfs.ts";
import { TlsError } from "../agent/tls.ts";
import { CannotBeMadeAgain } from "../journal/cannot-be-made-again.ts";
import { InvalidRecording } from "../recording/invalid-recording.ts";
import { ConfigError } from "../yaml.ts";
import { EXIT, UsageError } from "./exit-codes.ts";

const OURS = [
	ConfigError,
	UsageError,
	InvalidRecording,
	CannotBeMadeAgain,
	SysfsError,
	LibvirtError,
	OverlayError,
	TlsError,
];

/** Mistakes in files that an operator has written: trying again helps nobody. */
const CONFIGURED = [ConfigError, OverlayError, TlsError];

/** The one place where a fault becomes an exit code. */
export function exitCodeOfFault(error: unknown): number {
	const isOurs = OURS.some((type) => error instanceof type);
	if (error instanceof Error && (isOurs || ("code" in error && "syscall" in error))) {
		process.stderr.write(`novacompat: ${error.message}\n`);
		return CONFIGURED.some((type) => error instanceof type) ? EXIT.config : EXIT.usage;
	}
	process.stderr.write(`novacompat: bug: ${error instanceof Error ? error.stack : String(error)}\n`);
	return EXIT.bug;
}
