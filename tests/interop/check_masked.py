#!/usr/bin/env python3
"""Masks bundles of documents of many types, and opens every placeholder with a program of its own.

    check_masked.py BLOBDELTA FOLDER

Makes the documents in FOLDER, which is new, runs the demo on them, masks its bundles by the policy that `mask --init`
proposes, unpacks them, and opens each file: pdftotext, python-docx, openpyxl, python-pptx, Pillow, unzip, email.parser,
lxml, olefile, csv and json. Each says that it is masked, none has anything of its original, and sizes are those of the originals.
Then the masked bundles are replayed into a new instance.
"""

import csv
import email
import email.policy
import io
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import docx
import lxml.etree
import lxml.html
import olefile
import openpyxl
import pptx
from PIL import Image

SAYS = "is masked"
PRIVATE = "Joan Example, allergic to penicillin"
# Less than any placeholder, and more than every one.
LENGTHS = [0, 1, 400, 40_000]


def documents(folder):
    """Files of each type, of several sizes, all with the same private text."""
    for nth, length in enumerate(LENGTHS):
        text = PRIVATE + " " + "abcdefgh " * (length // 9)

        def write(extension, data):
            (folder / f"letter {nth} of Joan Example.{extension}").write_bytes(data)

        def saved(document):
            out = io.BytesIO()
            document.save(out)
            return out.getvalue()

        letter = docx.Document()
        letter.add_paragraph(text)
        write("docx", saved(letter))
        book = openpyxl.Workbook()
        book.active["A1"] = text[:30_000]
        write("xlsx", saved(book))
        slides = pptx.Presentation()
        slides.slides.add_slide(slides.slide_layouts[6])
        slides.core_properties.comments = text[:200]
        write("pptx", saved(slides))
        picture = Image.frombytes("L", (100, 50 + length // 100), os.urandom(100 * (50 + length // 100)))
        for extension, kind in [("png", "PNG"), ("jpg", "JPEG"), ("gif", "GIF"), ("tif", "TIFF"), ("pdf", "PDF")]:
            out = io.BytesIO()
            picture.save(out, kind)
            write(extension, out.getvalue() + text.encode())
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("letter.txt", text)
        write("zip", out.getvalue())
        write("odt", out.getvalue())
        write("txt", text.encode())
        write("csv", f"name,note\r\nJoan,{text}\r\n".encode())
        write("json", json.dumps({"note": text}).encode())
        write("xml", f"<note>{text}</note>".encode())
        write("html", f"<html><body>{text}</body></html>".encode())
        write("rtf", f"{{\\rtf1 {text}}}".encode())
        write("eml", f"From: joan@clinic.example\r\nSubject: {PRIVATE}\r\n\r\n{text}\r\n".encode())
        write("msg", olefile.MAGIC + text.encode())
        write("unknown", text.encode())


def picture_of(path):
    """It says so in its pixels: 96 by 24 of them."""
    with Image.open(path) as picture:
        picture.load()
        return SAYS if picture.size == (96, 24) else ""


def text_of_archive(path):
    subprocess.run(["unzip", "-tqq", path], check=True)
    with zipfile.ZipFile(path) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith((".xml", ".txt")))


def text_of_slides(path):
    slides = pptx.Presentation(path).slides
    return "".join(shape.text_frame.text for slide in slides for shape in slide.shapes)


def text_of_odt(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "mimetype"
        return "".join(lxml.etree.fromstring(archive.read("content.xml")).itertext())


def text_of_mail(path):
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert not message.defects and message["Subject"] == "masked", message.defects
    return message.get_content()


def text_of_message(path):
    with olefile.OleFileIO(path, raise_defects=olefile.DEFECT_POTENTIAL) as message:
        assert not message.parsing_issues, message.parsing_issues
        texts = {name: message.openstream(f"__substg1.0_{name}001F").read().decode("utf-16-le") for name in ["001A", "0037", "1000"]}
        assert texts["001A"] == "IPM.Note" and texts["0037"] == "masked", texts
        assert message.openstream("__properties_version1.0").read()[32:36] == b"\x1f\x00\x1a\x00"
        return texts["1000"]


def text_of_rtf(path):
    text = path.read_text()
    assert text.count("{") == text.count("}") and text.startswith("{\\rtf1")
    return text


OPEN = {
    "pdf": lambda path: subprocess.run(["pdftotext", path, "-"], check=True, capture_output=True, text=True).stdout,
    "docx": lambda path: "".join(part.text for part in docx.Document(path).paragraphs),
    "xlsx": lambda path: str(openpyxl.load_workbook(path).active["A1"].value),
    "pptx": text_of_slides,
    "odt": text_of_odt,
    "zip": text_of_archive,
    "png": picture_of,
    "jpg": picture_of,
    "gif": picture_of,
    "tif": picture_of,
    "txt": pathlib.Path.read_text,
    "csv": lambda path: str(list(csv.reader(path.open(newline="")))),
    "json": lambda path: json.loads(path.read_text())["masked"],
    "xml": lambda path: "".join(lxml.etree.parse(path).getroot().itertext()),
    "html": lambda path: lxml.html.fromstring(path.read_text()).text_content(),
    "rtf": text_of_rtf,
    "eml": text_of_mail,
    "msg": text_of_message,
    "bin": pathlib.Path.read_text,
}


def main():
    program, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    folder.mkdir()
    (folder / "files").mkdir()
    documents(folder / "files")
    environment = dict(os.environ, BLOBDELTA_MASK_KEY=os.urandom(32).hex())

    def call(*args):
        done = subprocess.run([program, *args], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("demo", "--from", "files", "--dir", "demo")
    (folder / "policy.toml").write_text(call("mask", "--init", "demo/bundles"))
    (folder / "masked").mkdir()
    call("mask", "demo/bundles", "--policy", "policy.toml", "--out", "masked")
    call("verify", "--deep", "masked")
    call("unpack", "masked", "--latest", "--out", "unpacked")
    call("unpack", "demo/bundles", "--latest", "--out", "originals")
    call("replay", "masked", "--into", "sqlite:target", "--create")
    sizes = {}
    for path in sorted((folder / "originals").rglob("*")):
        if path.is_file():
            sizes.setdefault(path.suffix[1:] if path.suffix[1:] in OPEN else "bin", []).append(path.stat().st_size)
    opened = {}
    for path in sorted((folder / "unpacked").rglob("*")):
        if not path.is_file():
            continue
        data, extension = path.read_bytes(), path.suffix[1:] or "bin"
        assert b"Joan" not in data and b"penicillin" not in data, path
        text = OPEN[extension](path)
        assert SAYS in text or len(data) < 46, (path, text[:200])
        opened.setdefault(extension, []).append(len(data))
    assert opened.keys() == OPEN.keys() | opened.keys(), OPEN.keys() - opened.keys()
    for extension, masked in opened.items():
        least = min(masked)
        due = sorted(max(size, least) for size in sizes.get(extension, []))
        assert not due or sorted(masked) == due, (extension, sorted(masked), due)
    print(f"{sum(map(len, opened.values()))} placeholders of {len(opened)} types were opened, each of its original's size")


if __name__ == "__main__":
    main()
