"""Bind what Chromium printed piece by piece to one PDF: bookmarks, places, links and tags go on across the pieces.

A library joins pages; what a PDF has beside its pages is joined here, in the words of its standard: ``/Outlines`` are
the bookmarks, ``/Dests`` the places to which links lead, ``/StructTreeRoot`` the tags that tell who cannot see a page
what is a heading, a table, a picture.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    Fit,
    NameObject,
    NumberObject,
    TextStringObject,
)

ELSEWHERE = "https://elsewhere.invalid/#"  # so begins, in a piece, a link to a place of another piece


def page_of(place: ArrayObject) -> int:
    """The number of the object of the page on which a place is."""
    return list.__getitem__(place, 0).idnum


@dataclass(frozen=True)
class Piece:
    """A printed piece, and the level and the text of each of its headings."""
    pdf: bytes
    headings: list[tuple[int, str]]

    @cached_property
    def reader(self) -> PdfReader:
        return PdfReader(io.BytesIO(self.pdf))

    @cached_property
    def root(self) -> DictionaryObject:
        return self.reader.trailer["/Root"]

    @cached_property
    def index(self) -> dict[int, int]:
        """The index of each page by the number of its object."""
        return {page.indirect_reference.idnum: i for i, page in enumerate(self.reader.pages)}

    def places(self) -> dict[str, int]:
        """The index of the page of each place."""
        return {name[1:]: self.index[page_of(place)]
                for name, place in self.root.get("/Dests", {}).items()}


def bookmarks(entry: DictionaryObject) -> Iterator[DictionaryObject]:
    """All entries below this one in the outline of a PDF."""
    below = entry.get("/First")
    while below is not None:
        yield below.get_object()
        yield from bookmarks(below.get_object())
        below = below.get_object().get("/Next")


class Book:
    """The book that grows with every piece that is added."""

    def __init__(self, title: str, author: str, subject: str) -> None:
        self.writer = PdfWriter()
        self.writer.add_metadata({"/Title": title, "/Author": author, "/Subject": subject})
        self.places, self.documents, self.parents = DictionaryObject(), ArrayObject(), ArrayObject()
        self.above: list = []  # the bookmarks above the next one

    def add(self, piece: Piece) -> None:
        """Pages first: what is added then refers to them."""
        first = len(self.writer.pages)
        pages = [self.writer.add_page(page) for page in piece.reader.pages]
        self.add_tags(piece, pages)
        for name, place in piece.root.get("/Dests", {}).items():
            self.places[NameObject(name)] = ArrayObject(
                [pages[piece.index[page_of(place)]].indirect_reference, *place[1:]])
        self.add_bookmarks(piece, first)

    def add_bookmarks(self, piece: Piece, first: int) -> None:
        """Chromium writes a heading at the top of a page twice, and joins its lines without a space: the text is the
        heading's. Raises ValueError if an entry is not that of its heading."""
        entries = bookmarks(piece.root["/Outlines"])
        for entry, (level, heading) in zip(entries, piece.headings, strict=True):
            if "".join(heading.split()) not in "".join(entry["/Title"].split()):
                raise ValueError(f"the bookmark {entry['/Title']!r} stands at the heading {heading!r}")
            place = entry["/Dest"]
            self.above = [(own, mark) for own, mark in self.above if own < level]
            mark = self.writer.add_outline_item(
                " ".join(heading.split()), first + piece.index[page_of(place)], is_open=level == 1,
                parent=self.above[-1][1] if self.above else None, fit=Fit.xyz(left=0, top=float(place[3])))
            self.above.append((level, mark))

    def add_tags(self, piece: Piece, pages: list) -> None:
        """Each piece counts its pages and links from 0 when it says to which tag they belong."""
        tree = piece.root.raw_get("/StructTreeRoot").clone(self.writer).get_object()
        start = len(self.parents) // 2
        numbers = tree["/ParentTree"]["/Nums"]
        for i in range(0, len(numbers), 2):
            self.parents += [NumberObject(start + i // 2), list.__getitem__(numbers, i + 1)]
        for own, page in zip(piece.reader.pages, pages):
            notes = zip(own.get("/Annots", []), page.get("/Annots", []))
            for old, new, key in [(own, page, "/StructParents"), *((*pair, "/StructParent") for pair in notes)]:
                if key in old.get_object():
                    new.get_object()[NameObject(key)] = NumberObject(start + old.get_object()[key])
        document = tree["/K"]
        document[NameObject("/S")] = NameObject("/Part")
        self.documents.append(document.indirect_reference)

    def link(self) -> None:
        """Links to places of other pieces lead there. Raises ValueError if there is no such place."""
        for page in self.writer.pages:
            for note in (note.get_object() for note in page.get("/Annots", [])):
                address = note.get("/A", {}).get("/URI", "")
                if address.startswith(ELSEWHERE):
                    place = NameObject("/" + address.removeprefix(ELSEWHERE))
                    if place not in self.places:
                        raise ValueError(f"there is no place {place}")
                    del note["/A"]
                    note[NameObject("/Dest")] = place

    def write(self, path) -> None:
        """The whole book, with what a reader of PDF wants to know about it."""
        self.link()
        root, put = self.writer.root_object, self.writer._add_object
        tree = DictionaryObject({NameObject("/Type"): NameObject("/StructTreeRoot")})
        whole = DictionaryObject({NameObject("/Type"): NameObject("/StructElem"), NameObject("/P"): put(tree),
                                  NameObject("/S"): NameObject("/Document"), NameObject("/K"): self.documents})
        tree[NameObject("/K")] = put(whole)
        tree[NameObject("/ParentTree")] = put(DictionaryObject({NameObject("/Nums"): self.parents}))
        tree[NameObject("/ParentTreeNextKey")] = NumberObject(len(self.parents) // 2)
        for document in self.documents:
            document.get_object()[NameObject("/P")] = whole.indirect_reference
        root[NameObject("/StructTreeRoot")] = tree.indirect_reference
        root[NameObject("/MarkInfo")] = DictionaryObject({NameObject("/Marked"): BooleanObject(True)})
        root[NameObject("/ViewerPreferences")] = DictionaryObject({NameObject("/DisplayDocTitle"): BooleanObject(True)})
        root[NameObject("/Lang")] = TextStringObject("en")
        root[NameObject("/Dests")] = put(self.places)
        root[NameObject("/PageMode")] = NameObject("/UseOutlines")
        self.writer.write(path)
