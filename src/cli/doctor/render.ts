import { printable } from "../../log/printable.ts";
import { counted } from "../counting.ts";
import { paint, type RenderOptions } from "../render/decision.ts";
import { clip, idList, inLines, table } from "../render/table.ts";
import { type Diagnosis, warningsOf } from "./diagnosis.ts";
import type { Outlook } from "./outlook.ts";

/** A diagnosis as a person reads it: what there is, what its migration hinges on, what is not known and what would help. */
export function renderDiagnosis(diagnosis: Diagnosis, options: RenderOptions): string {
	const { host, kernel_release, devices, libvirt, outlooks, dropped, programs, overlays, debugfs } = diagnosis;
	const { unreadable, unreadable_facts } = diagnosis;
	const counts = Object.entries(devices).flatMap(([kind, count]) => (count > 0 ? [`${count} ${kind}`] : []));
	const kernel = kernel_release === null ? "" : `, kernel ${kernel_release}`;
	const warnings = warningsOf(diagnosis);
	const lines = [
		printable(`${host}: ${counts.join(", ") || "no devices"}${kernel}`),
		...(libvirt.domains === null ? [] : [printable(`${counted(libvirt.domains, "domain")} in ${libvirt.directory}`)]),
		...diagnosis.warnings.map(printable),
		"",
		outlooks.length === 0 ? "No device that an instance could have." : "Migration to a host that has the very same:",
		...outlooks.flatMap((outlook) => renderOutlook(outlook, options)),
		...section(
			["CANNOT BE READ", "ERRNO", "FROM", "DEVICES", "WHAT HELPS"],
			unreadable.map((one) => [
				one.attributes.join(", "),
				one.errno,
				clip(one.source),
				idList(one.devices),
				one.remedy,
			]),
		),
		...section(
			["CANNOT BE TOLD", "ERRNO", "FROM", "DEVICES", "WHAT HELPS"],
			unreadable_facts.map((one) => [
				one.facts.join(", "),
				one.errno,
				clip(one.source),
				idList(one.devices),
				one.remedy,
			]),
		),
		...section(
			["LEFT OUT", "WHY"],
			dropped.map(({ id, reason }) => [id, reason]),
		),
		...section(
			["PROGRAM", "SAID", "WHAT HELPS"],
			programs.map(({ command, errno, remedy }) => [clip(command, 60), errno ?? "an answer", remedy ?? "-"]),
		),
		...section(
			["OVERLAY", "DATE", "SOURCE", "DEVICES", "ATTRIBUTES"],
			overlays.map((one) => [one.file, one.date, clip(one.source), `${one.devices}`, one.attributes.join(", ") || "-"]),
		),
		...section(
			["IGNORED OF OVERLAY", "ATTRIBUTE", "WHO HAS IT", "DEVICES"],
			overlays.flatMap(({ file, ignored }) =>
				ignored.map(({ attribute, from, devices }) => [file, attribute, from, `${devices}`]),
			),
		),
		...(debugfs === null || unreadable_facts.some(({ facts }) => facts.includes("migration_state"))
			? []
			: ["", `State of migrations in debugfs: ${debugfs.errno}; what helps: ${debugfs.remedy}.`]),
		"",
		warnings === 0 ? "Nothing to look at." : `${counted(warnings, "thing")} to look at.`,
	];
	return inLines(lines);
}

function renderOutlook(
	{ device_class, verdict, devices, free, reasons, hinges_on, missing }: Outlook,
	{ colour }: RenderOptions,
): readonly string[] {
	const name = device_class ?? "no class of the policy";
	return [
		printable(`  ${paint(verdict, verdict, colour)}  ${name}, ${free} free: ${idList(devices)}`),
		...reasons.map(({ code, message }) => printable(`    ${code}: ${message}`)),
		...(hinges_on.length > 0 ? [printable(`    hinges on ${hinges_on.join(", ")}`)] : []),
		...(missing.length > 0 ? [printable(`    not known ${missing.join(", ")}`)] : []),
	];
}

function section(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
	return rows.length === 0 ? [] : ["", ...table([header, ...rows])];
}
