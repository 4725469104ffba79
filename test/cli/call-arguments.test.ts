import { describe, expect, test } from "vitest";
import { readArguments, readPairs } from "../../src/cli/call-arguments.ts";
import { UsageError } from "../../src/cli/exit-codes.ts";

describe("the arguments of a method", () => {
	/** words, keyword arguments: JSON where it can be read as that, else text */
	const ARGUMENTS: readonly (readonly [words: readonly string[], seen: unknown])[] = [
		[[], {}],
		[["host=cmp-01"], { host: "cmp-01" }],
		[["count=3", "force=true", "nothing=null"], { count: 3, force: true, nothing: null }],
		[["exact=9007199254740993"], { exact: 9007199254740993n }],
		[['text="3"', "empty=", "equation=a=b"], { text: "3", empty: "", equation: "a=b" }],
		[['request={"a": [1, {"b": "c"}]}'], { request: { a: [1, { b: "c" }] } }],
		[["broken={", "lines=a\nb"], { broken: "{", lines: "a\nb" }],
		[["uuid=0002587c-b09d-468a-9995-53d16eeb8a15"], { uuid: "0002587c-b09d-468a-9995-53d16eeb8a15" }],
		[["_private=1"], { _private: 1 }],
		[[' {"a": 1}'], { a: 1 }],
		[["{}"], {}],
	];
	test.each(ARGUMENTS)("%j", (words, seen) => expect(readArguments(words)).toEqual(seen));

	/** words, what is said */
	const MISTAKES: readonly (readonly [words: readonly string[], says: string])[] = [
		[["word"], 'argument is "word", expected name=value'],
		[["=1"], 'argument is "=1", expected name=value'],
		[["a b=1"], 'argument is "a b=1", expected name=value'],
		[["a=1", "a=2"], "argument a is there twice"],
		[["a=1", "{}"], 'argument is "{}", expected name=value'],
		[['{"a": 1'], "the argument is not a JSON object"],
		[["{}", "b=2"], 'the argument is all arguments, expected no other "b=2"'],
		[["-", "b=2"], 'standard input is all arguments, expected no other "b=2"'],
	];
	test.each(MISTAKES)("%j is a mistake", (words, says) => {
		expect(() => readArguments(words)).toThrow(new UsageError(says));
	});
});

test("a part of the context is a pair only", () => {
	expect(readPairs(["request_id=req-1", "is_admin=true"], "--context")).toEqual({
		request_id: "req-1",
		is_admin: true,
	});
	expect(() => readPairs(["{}"], "--context")).toThrow('--context is "{}", expected name=value');
});
