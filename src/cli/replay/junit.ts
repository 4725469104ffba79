import { renderReplay, titleOf } from "./render.ts";
import type { Replayed } from "./send-again.ts";

/** What XML 1.0 has no characters for, besides control characters, which are escaped already. */
const NO_XML = /[\p{Cs}\ufffe\uffff]/gu;
const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/**
 * A replay as CI systems read it: a test case for each request, skipped where no reply was recorded, and an error for each
 * problem of the recording or the journal.
 */
export function junit(replayed: readonly Replayed[], problems: readonly string[]): string {
	const failures = replayed.filter(({ differences = [] }) => differences.length > 0).length;
	const skipped = replayed.filter(({ differences }) => differences === undefined).length;
	const time = replayed.reduce((sum, { duration }) => sum + duration, 0).toFixed(3);
	const cases = replayed.map((one, index) => {
		const open = `<testcase classname="novacompat.replay" name="${xmlText(`${index + 1} ${titleOf(one)}`)}" time="${one.duration.toFixed(3)}"`;
		if (one.differences === undefined) return `    ${open}><skipped message="no reply was recorded"/></testcase>`;
		if (one.differences.length === 0) return `    ${open}/>`;
		const message = xmlText(one.differences.map(({ path }) => path).join(", "));
		return `    ${open}><failure message="${message}">${xmlText(renderReplay([one]))}</failure></testcase>`;
	});
	const errors = problems.map(
		(problem) =>
			`    <testcase classname="novacompat.replay" name="comparison" time="0.000"><error message="${xmlText(problem)}"/></testcase>`,
	);
	const tests = replayed.length + errors.length;
	const counts = `tests="${tests}" failures="${failures}" errors="${errors.length}" skipped="${skipped}" time="${time}"`;
	return [
		'<?xml version="1.0" encoding="UTF-8"?>',
		"<testsuites>",
		`  <testsuite name="novacompat replay" ${counts}>`,
		...cases,
		...errors,
		"  </testsuite>",
		"</testsuites>",
		"",
	].join("\n");
}

function xmlText(text: string): string {
	return text.replace(NO_XML, "\ufffd").replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
