import { isThere } from "../../agent/bounded-file.ts";
import { debugfsErrno } from "../../agent/collectors/vfio.ts";
import { LibvirtError } from "../../agent/libvirt.ts";
import { applyOverlays, OverlayError } from "../../agent/overlay.ts";
import { isOverlayDirMissing, readOverlays } from "../../agent/overlay-file.ts";
import { takeSnapshot } from "../../agent/scan.ts";
import { warningsOf as agentWarningsOf } from "../../agent/scan-result.ts";
import { openSysfs, SysfsError } from "../../agent/sysfs.ts";
import { askHost } from "../../agent/tools.ts";
import { DOCTOR_EXIT } from "../exit-codes.ts";
import { type OutputOptions, print } from "../output.ts";
import { policyOf } from "../policy.ts";
import { terminalColour } from "../render/decision.ts";
import { checkPlaces, type SnapshotOptions } from "../snapshot.ts";
import { type Diagnosis, diagnose, warningsOf } from "./diagnosis.ts";
import { renderDiagnosis } from "./render.ts";

export interface DoctorOptions extends SnapshotOptions, OutputOptions {
	readonly policy?: string;
}

/** `novacompat doctor`: looks at this host as its agent does, and says what that comes to; the exit code is how well it looks. */
export async function doctor({ policy: file, ...options }: DoctorOptions): Promise<number> {
	checkPlaces(options);
	const policy = policyOf(file);
	const diagnosis = await examine(options, policy);
	if (typeof diagnosis === "string") {
		const { host } = options;
		const data = { host, problem: diagnosis };
		const text = () => `problem: ${diagnosis}\n`;
		print({ kind: "one", data, text, columns: ["host", "problem"], rows: [[host, diagnosis]] }, options);
		return DOCTOR_EXIT.problem;
	}
	const columns = ["host", "verdict", "class", "devices", "codes", "reason"];
	const rows = diagnosis.outlooks.map((outlook) => {
		const { verdict, device_class, devices, reasons } = outlook;
		const codes = [...new Set(reasons.map(({ code }) => code))];
		return [diagnosis.host, verdict, device_class, devices.join(","), codes.join(","), reasons[0]?.message ?? null];
	});
	const text = () => renderDiagnosis(diagnosis, terminalColour(process.stdout));
	print({ kind: "list", data: diagnosis, text, columns, rows }, options);
	return warningsOf(diagnosis) === 0 ? DOCTOR_EXIT.good : DOCTOR_EXIT.warnings;
}

/** The diagnosis; or, as a text, why the agent of this host can answer nothing. */
async function examine(
	{ overlayDir, ...place }: SnapshotOptions,
	policy: ReturnType<typeof policyOf>,
): Promise<Diagnosis | string> {
	try {
		const { host, sysfsRoot, libvirtDir } = place;
		const told = await askHost(sysfsRoot);
		const { devices, instances = [], dropped = [] } = takeSnapshot({ ...place, told });
		const libvirt = { directory: libvirtDir, domains: isThere(libvirtDir) ? instances.length : null };
		const missing_overlay_dir = isOverlayDirMissing(overlayDir) ? overlayDir : null;
		const overlays = await readOverlays(overlayDir);
		const debugfs = debugfsErrno(openSysfs(sysfsRoot));
		const overlaid = applyOverlays(devices, overlays);
		const warnings = agentWarningsOf({ ...place, overlayDir }, { devices, instances });
		return diagnose({
			host,
			told,
			warnings,
			libvirt,
			missing_overlay_dir,
			overlays,
			overlaid,
			dropped,
			debugfs,
			policy,
		});
	} catch (error) {
		if (error instanceof SysfsError || error instanceof LibvirtError || error instanceof OverlayError)
			return error.message;
		throw error;
	}
}
