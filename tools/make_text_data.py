#!/usr/bin/env python3
"""Makes the reference data of tests/data/text.

  golden   token ids that llama.cpp gives for awkward strings and for a whole novel, on a GGUF's vocabulary
           (needs llama-cpp-python):   make_text_data.py golden NAME=MODEL.gguf...
  folders  small Hugging Face tokenizers and what the `tokenizers` and `sentencepiece` packages do with them
           (needs both packages):      make_text_data.py folders
  chat     prompts that Jinja2 renders, set up as the `transformers` package does
           (needs jinja2):             make_text_data.py chat [NAME=MODEL.gguf...]

Every file says in "made_with" what it was made with. The output is the same on every run.
"""
import json
import os
import pathlib
import random
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
TEXT = ROOT / "text"


def awkward_strings():
    """At least 300 strings that tokenizers have been known to disagree on. Fixed order, no duplicates."""
    spaces = [" " * n for n in (1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100)]
    spaces += [f"a{' ' * n}b" for n in (1, 2, 3, 4, 5, 8, 31, 32, 40)]
    spaces += [" a", "  a", "a ", "a  ", " a b  c   d    e", "\u00a0", "a\u00a0b", "\u2003x", "\u3000全角", "\u200b", "a\u200bb",
               "\u202f1\u202f000", "\u1680", "\u205f", "\ufeffbom", "\u0085", "a\u0085b", "\u2028", "a\u2029b", "\x1c", "\x0b\x0c"]
    lines = ["\n" * n for n in (1, 2, 3, 4, 10, 30, 31, 32, 33, 63, 70)]
    lines += ["\r", "\r\n", "\r\n\r\n", "a\r\nb", "a\n b", "a\n\n  b", " \n", "\n ", " \n \n ", "a \n", "\n\n\ta", "\n \n\n  \n\n\n"]
    lines += ["\t" * n for n in (1, 2, 3, 8, 30, 31, 32, 33)]
    lines += ["\t a", " \ta", "a\tb", "a \t b", "\t\n\t", "x\t\t\ty\t\t", "  \t  \t", "if x:\n\treturn\n\t\ty\n"]
    digits = ["0", "7", "12", "123", "1234", "12345", "123456789", "1234567890123", "3.14159", "1,000,000", "1e-10", "0xFF", "007",
              "a1b2c3", "2023-11-14T09:30:00Z", "٣٤٥", "१२३", "１２３", "Ⅳ", "½", "²³", "①②③", "1 2  3   4", " 42", "  42", "v1.2.3-rc4",
              "९९९९", "𝟘𝟙𝟚", "10٪", "1st 2nd 3rd 44th"]
    contractions = ["don't", "I'll", "we've", "they're", "it's", "I'm", "he'd", "DON'T", "I'LL", "WE'VE", "IT'S", "'s", "'S", "'t't't",
                    "'", "''", "'''", "rock'n'roll", "l'été", "don\u2019t", "'re 've 'm 'll 'd", "x'ſ", "'ſ", "Kelvin \u212a's"]
    marks = ["e\u0301", "\u00e9", "n\u0303o", "a\u0300\u0301\u0302\u0303", "\u0301", " \u0301", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!", "नमस्ते", "क्षत्रिय", "ไทยแลนด์ ภาษา",
             "தமிழ்", "ကျွန်တော်", "ខ្មែរ", "བོད་ཡིག", "각", "각", "ﬁ ﬂ ﬀ", "ǅ", "ß ẞ", "İı", "Å Å"]
    emoji = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "❤️", "❤", "☺︎", "a😀b", "😀😀😀", " 😀", "😀 ", "🫠🫡🫥", "🧑🏿‍🚀", "1️⃣", "©®™", "🀄🂡", "👩‍❤️‍💋‍👨 x",
             "\U0001f9d1\u200d\U0001f4bb", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"]
    scripts = ["你好，世界", "今日はいい天気ですね。", "カタカナ ひらがな 漢字", "안녕하세요 세계", "Привет, мир!", "Γειά σου Κόσμε", "שלום עולם", "مرحبا بالعالم",
               "السَّلَامُ عَلَيْكُمْ", "ܫܠܡܐ", "ሰላም", "გამარჯობა", "Բարեւ", "ᏣᎳᎩ", "ᚠᚢᚦ", "𐍈𐌰𐌿", "𓀀𓂀", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "中文English混合テキスト", "日本語 と English と 한국어", "𠮷野家",
               "\u202eabc\u202c", "\u2066עברית\u2069 x", "Ελλάδα/Ελλάς", "ŁódźŻółć", "Đặng Thị Ngọc", "žluťoučký kůň", "ґанок", "ꙮ", "﷽", "꧁꧂", "龘䶮"]
    bytes_ = ["\x00", "a\x00b", "\x01\x02\x03", "\x7f", "\x80", "\x9f", "\ufffd", "\ue000", "\uf8ff", "\U000f0000", "\U0010ffff", "\ufdd0", "\u0378", "\U0001fffe",
              "\U00012345\U0001d7ff", "\ud7ff\ue000", "\x1b[31mred\x1b[0m", "\U000e0001", "\u2fff", "\U0002ffff"]
    underline = ["\u2581", "\u2581\u2581", "\u2581a", "a\u2581b", "\u2581 \u2581", " \u2581 ", "▁▁▁▁hello▁▁world", "▂▃▄▅▆▇█", "_ __ ___", "▁the ▁of"]
    specials = ["<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>",
                "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n",
                "a<bos>b", "<bos><bos>", " <eos> ", "x <eos>\n", "<eos", "eos>", "<<eos>>", "<EOS>", "< eos >", "<unused0>", "<unused99>", "<unused6241>", "<unused99999>",
                "<|endoftext|><|endoftext|>", "<|endoftext|", "|endoftext|>", "a<|im_end|>b<|im_end|>", "<|im_start|><|im_start|>x", "<repo_name>", "<reponame>x", "<file_sep>",
                "<jupyter_code>print(1)<jupyter_output>1", "<gh_stars>10", "<empty_output>", "[multimodal]", "x[multimodal]y", "<start_of_image>", "<end_of_image> x",
                "<table><tr><td>1</td></tr></table>", "<h1>Title</h1>\n<p>x</p>", "<b><i>x</i></b>", "</b", "<strong>a  b</strong>", "<code>\n\n\tx</code>", "<0x0A>", "<0x41><0x42>", "<0xZZ>", "<0x00>",
                "[INST] x [/INST]", "<|begin_of_text|>", "<|eot_id|>", "[UNK]", "[CLS][SEP]", "<pad><pad><pad>", "<unk>é<unk>", "\n<eos>\n\n<eos>\n\n\n", "  <eos>   <eos>    "]
    code = ["int main() { return 0; }", "for (int i = 0; i < n; ++i) {\n    sum += a[i];\n}\n", "def f(x):\n    return x**2  # square\n\n\nprint(f(3))\n",
            "SELECT * FROM t WHERE a >= 1 AND b != 'x';", "https://example.org/a/b?c=d&e=%20f#g", "user.name+tag@example.org", "C:\\Users\\x\\file.txt", "{\"a\": [1, 2, {\"b\": null}]}",
            "$x = @{ 'k' => \"v\" };", "a->b::c<d>&&e||!f", "/* comment */ // line", "#!/bin/sh\nset -eu\n", "std::vector<std::string>", "\\frac{a}{b} \\sum_{i=0}^{n}", "x=1;y=2;;z=3",
            "!!!", "???...", "--- *** ___", "((([[[{{{}}}]]])))", "~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./", "a.b,c;d:e!f?g", "…—–‘’“”«»", "$100 €200 £300 ¥400", "a&amp;b&lt;", "\\n\\t\\r", "print(\"\\u00e9\")",
            "camelCaseIdentifier snake_case_identifier SCREAMING_CASE kebab-case-id", "<!-- comment --><div class=\"a\">x</div>", "0b1010 0o17 1_000", "λx.x → ∀y∃z: x∈ℝ ∧ y≠z"]
    repeats = ["a" * 10, "a" * 300, "ab" * 150, "the " * 60, "ha" * 100 + "!", "=" * 80, "-" * 33, "." * 50, "あ" * 50, "😀" * 20, "\u0301" * 20, "1" * 100, "0" * 64, "xyz\n" * 20, "_" * 40, "#" * 7 + " x",
               "A" * 50, "\u2581" * 30, "é" * 40, "\U00012345" * 8, "word" * 70, "  x" * 40, "\n\n " * 20]
    words = ["", "a", "A", "hello", "Hello", " hello", "Hello world", "Hello, world!", "The quick brown fox jumps over the lazy dog.", "antidisestablishmentarianism", "pneumonoultramicroscopicsilicovolcanoconiosis",
             "Donaudampfschifffahrtsgesellschaftskapitän", "supercalifragilisticexpialidocious", "hELLO wORLD", "iPhone15ProMax", "McDonald's", "e.g. i.e. etc.", "Mr. Smith went to Washington, D.C.", "naïve café façade",
             "It was on a dreary night of November", "“Quoted,” she said—‘twice.’", "end.\n\nStart", "tab\tseparated\tvalues", "mixed 中文 and English, with emoji 🎉 and numbers 123"]
    everything = spaces + lines + digits + contractions + marks + emoji + scripts + bytes_ + underline + specials + code + repeats + words
    everything += random_mixtures(everything, 60)
    return list(dict.fromkeys(everything))


def random_mixtures(parts, count):
    choose = random.Random(20)
    return ["".join(choose.choice(parts)[:40] for _ in range(choose.randint(2, 6))) for _ in range(count)]


def fnv1a(ids):
    """FNV-1a of 64 bits over the ids as little-endian int32."""
    value = 0xCBF29CE484222325
    for token in ids:
        for byte in int(token).to_bytes(4, "little", signed=True):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace('},{"', '},\n{"') + "\n")
    print(path, path.stat().st_size, "bytes")


def named_models(arguments):
    return dict(argument.split("=", 1) for argument in arguments)


def make_golden(arguments):
    import llama_cpp

    novel = (ROOT / "frankenstein.txt").read_bytes()
    for name, path in named_models(arguments).items():
        model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
        cases = []
        for text in awkward_strings():
            raw = text.encode()
            plain = model.tokenize(raw, add_bos=False, special=False)
            parsed = model.tokenize(raw, add_bos=False, special=True)
            case = {"text": text, "plain": plain}
            if parsed != plain:
                case["parsed"] = parsed
            cases.append(case)
        whole = model.tokenize(novel, add_bos=True, special=False)
        write(TEXT / f"golden_{name}.json",
              {"made_with": f"llama-cpp-python {llama_cpp.__version__}", "novel_tokens": len(whole), "novel_fnv1a": fnv1a(whole),
               "bos_before_empty": model.tokenize(b"", add_bos=True, special=False), "cases": cases})


CHATS = [
    [("user", "Hello")],
    [("system", "Be brief."), ("user", "Hi  there \n"), ("assistant", " Yes?\n\n"), ("user", "2 < 3 & 'x' \"y\" é 😀")],
    [("user", ""), ("assistant", "ok"), ("user", "<|im_end|> {{ messages }}")],
    [("assistant", "I speak first"), ("user", "no")],
    [("system", "only a system message")],
    [],
]


def make_chat(arguments):
    import jinja2
    import jinja2.ext
    import jinja2.sandbox

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals["raise_exception"] = raise_exception
    sources = {path.stem: path.read_text() for path in sorted((TEXT / "templates").glob("*.jinja"))}
    for name, path in named_models(arguments).items():
        import llama_cpp

        sources[name] = llama_cpp.Llama(path, vocab_only=True, verbose=False).metadata["tokenizer.chat_template"]
        (TEXT / "templates" / f"{name}.jinja").write_text(sources[name])
    cases = []
    for name, source in sorted(sources.items()):
        template = environment.from_string(source)
        for chat in CHATS:
            messages = [{"role": role, "content": content} for role, content in chat]
            for prompt in (False, True):
                case = {"template": name, "messages": messages, "add_generation_prompt": prompt}
                try:
                    case["expected"] = template.render(messages=messages, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")
                except jinja2.exceptions.TemplateError as error:
                    case["raises"] = str(error)
                cases.append(case)
    write(TEXT / "chat.json", {"made_with": f"jinja2 {jinja2.__version__}", "bos_token": "<s>", "eos_token": "</s>", "cases": cases})


def make_folders(_):
    import sentencepiece
    import tokenizers

    novel = str(ROOT / "frankenstein.txt")
    texts = [text for text in awkward_strings() if len(text) < 120][::3] + ["<s>", "a<s>b", "<b>x</b>", " <b> y", "<s><b></s>"]
    make_byte_level_json(tokenizers, novel, texts)
    make_sentencepiece_json(tokenizers, novel, texts)
    make_sentencepiece_model(sentencepiece, novel, texts)


def write_json_case(name, tokenizer, texts, package):
    def encode(text, parse):
        tokenizer.encode_special_tokens = not parse
        return tokenizer.encode(text, add_special_tokens=False).ids

    cases = []
    for text in texts:
        plain, parsed = encode(text, False), encode(text, True)
        cases.append({"text": text, "plain": plain, "parsed": parsed, "decoded": tokenizer.decode(parsed, skip_special_tokens=True)})
    write(TEXT / name / "expected.json", {"made_with": f"tokenizers {package.__version__}", "cases": cases})


def added(tokenizers, content, special):
    return tokenizers.AddedToken(content, special=special, normalized=False)


def make_byte_level_json(tokenizers, novel, texts):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    split = tokenizers.Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(split, "isolated"), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=700, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train([novel], trainer)
    tokenizer.add_special_tokens([added(tokenizers, "<s>", True), added(tokenizers, "</s>", True)])
    tokenizer.add_tokens([added(tokenizers, "<b>", False)])
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    folder = TEXT / "byte_level"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": "{{ bos_token }}{{ messages[0].content }}"}))
    write_json_case("byte_level", tokenizer, texts, tokenizers)


def make_sentencepiece_json(tokenizers, novel, texts):
    """As the converter writes Llama 2 and its kind: spaces prepended and replaced, byte fallback."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = tokenizers.normalizers.Sequence([tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")])
    step = tokenizers.decoders
    tokenizer.decoder = step.Sequence([step.Replace("▁", " "), step.ByteFallback(), step.Fuse(), step.Strip(" ", 1, 0)])
    specials = [added(tokenizers, text, True) for text in ("<unk>", "<s>", "</s>")]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=900, special_tokens=specials + [added(tokenizers, f"<0x{byte:02X}>", False) for byte in range(256)], max_token_length=12, show_progress=False)
    lines = [line for line in pathlib.Path(novel).read_text().splitlines()[:2000]]
    tokenizer.train_from_iterator((word for line in lines for word in line.split()), trainer)
    tokenizer = strip_byte_tokens(tokenizers, tokenizer)
    tokenizer.add_tokens([added(tokenizers, "<b>", False)])
    folder = TEXT / "sentencepiece_json"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}))
    write_json_case("sentencepiece_json", tokenizer, texts, tokenizers)


def strip_byte_tokens(tokenizers, tokenizer):
    """Byte tokens belong to the model, not to the added tokens that training needed to make them."""
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    return tokenizers.Tokenizer.from_str(json.dumps(data))


def make_sentencepiece_model(sentencepiece, novel, texts):
    folder = TEXT / "sentencepiece_model"
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # the model keeps the paths it is given
    sentencepiece.SentencePieceTrainer.train(
        input=os.path.relpath(novel), model_prefix="tokenizer", vocab_size=900, model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, user_defined_symbols=["<b>"], num_threads=1, input_sentence_size=2000, shuffle_input_sentence=False, minloglevel=2)
    (folder / "tokenizer.vocab").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}))
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    cases = []
    for text in texts:
        ids = model.encode(text)
        cases.append({"text": text, "plain": ids, "decoded": model.decode(ids)})
    write(folder / "expected.json", {"made_with": f"sentencepiece {sentencepiece.__version__}", "cases": cases})


if __name__ == "__main__":
    commands = {"golden": make_golden, "chat": make_chat, "folders": make_folders}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](sys.argv[2:])
