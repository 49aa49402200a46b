//! What the engine knows of a buffer beside its bytes.

use std::cell::{Cell, OnceCell};

use quahog_sig::model::{DigestKind, FileType, Target};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::exe::Headers;
use crate::icon::{self, Icons};
use crate::running::{Digests, Running, Wanted};
use crate::simd;

/// A buffer in the nesting, with the layers around it.
///
/// Layers live on the stack of whoever walks a message: each borrows its
/// parent. Digests are computed when first asked for, and kept.
#[derive(Debug)]
pub struct Layer<'a> {
    bytes: &'a [u8],
    file_type: FileType,
    parent: Option<&'a Layer<'a>>,
    is_view: bool,
    without_parts: bool,
    without_signers: bool,
    md5: OnceCell<[u8; 16]>,
    /// How far its digests are, until they are asked for.
    running: Cell<Running>,
    sha1: OnceCell<[u8; 20]>,
    sha256: OnceCell<[u8; 32]>,
    headers: OnceCell<Headers>,
    hasher: Option<PictureHasher<'a>>,
    picture: OnceCell<Option<u64>>,
    icons: OnceCell<Icons>,
}

/// Computes the perceptual hash of a picture, when a signature asks for one.
///
/// The engine does not read pictures: whoever walks the layers knows how, and
/// under which limits. `None` means that the bytes are no picture that can be
/// read.
#[derive(Clone, Copy)]
pub struct PictureHasher<'a>(&'a dyn Fn(&[u8]) -> Option<u64>);

impl<'a> PictureHasher<'a> {
    /// Asks this function.
    pub fn new(hash: &'a dyn Fn(&[u8]) -> Option<u64>) -> PictureHasher<'a> {
        PictureHasher(hash)
    }
}

impl std::fmt::Debug for PictureHasher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PictureHasher")
    }
}

impl<'a> Layer<'a> {
    /// A layer of the given type, found inside `parent`.
    pub fn new(bytes: &'a [u8], file_type: FileType, parent: Option<&'a Layer<'a>>) -> Layer<'a> {
        Layer {
            bytes,
            file_type,
            parent,
            is_view: false,
            without_parts: false,
            without_signers: false,
            md5: OnceCell::new(),
            running: Cell::default(),
            sha1: OnceCell::new(),
            sha256: OnceCell::new(),
            headers: OnceCell::new(),
            hasher: None,
            picture: OnceCell::new(),
            icons: OnceCell::new(),
        }
    }

    /// A normalised form of `parent`, which counts as no layer where
    /// signatures ask for the types of those around.
    pub fn view(bytes: &'a [u8], parent: &'a Layer<'a>) -> Layer<'a> {
        Layer { is_view: true, ..Layer::new(bytes, parent.file_type, Some(parent)) }
    }

    /// Says how to compute the hash of a picture, for a layer that may be one.
    pub fn with_picture_hasher(self, hasher: PictureHasher<'a>) -> Layer<'a> {
        Layer { hasher: Some(hasher), ..self }
    }

    /// Leaves out what is looked for in the parts of a program: hashes of its
    /// sections and imports. Offsets that refer to them keep their meaning.
    pub fn without_parts(self) -> Layer<'a> {
        Layer { without_parts: true, ..self }
    }

    /// Leaves out the certificates of a program.
    pub fn without_signers(self) -> Layer<'a> {
        Layer { without_signers: true, ..self }
    }

    /// Whether the certificates of a program are looked at.
    pub(crate) fn has_signers(&self) -> bool {
        !self.without_signers
    }

    /// Whether the parts of a program are looked at.
    pub(crate) fn has_parts(&self) -> bool {
        !self.without_parts
    }

    /// Its hash as a picture, if it is one.
    pub(crate) fn picture_hash(&self) -> Option<u64> {
        let hasher = self.hasher?;
        *self.picture.get_or_init(|| (hasher.0)(self.bytes))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its type.
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// The layer that it was found in.
    pub fn parent(&self) -> Option<&'a Layer<'a>> {
        self.parent
    }

    /// The layer and those around it, the innermost first.
    pub fn chain(&self) -> impl Iterator<Item = &Layer<'a>> {
        std::iter::successors(Some(self), |layer| layer.parent.map(|p| p as &Layer<'a>))
    }

    /// The types of the layers around it, the innermost first, views left out.
    pub(crate) fn containers(&self) -> impl Iterator<Item = FileType> {
        // A view stands for the layer that it was made from.
        let own = self.chain().find(|layer| !layer.is_view).unwrap_or(self);
        own.chain().skip(1).filter(|layer| !layer.is_view).map(|layer| layer.file_type)
    }

    /// Its headers, if it is an executable by its type; a view is none.
    ///
    /// Read when first asked for, and kept.
    pub fn headers(&self) -> &Headers {
        self.headers.get_or_init(|| {
            if self.is_view { Headers::None } else { Headers::read(self.bytes, self.file_type) }
        })
    }

    /// Its icons, if it is a program that has some, and whether they were
    /// measured just now.
    pub(crate) fn icons(&self) -> (&Icons, bool) {
        let is_new = self.icons.get().is_none();
        (self.icons.get_or_init(|| icon::of_program(self)), is_new)
    }

    /// The bytes that conditions on the file's own bytes speak of: those of the
    /// layer itself for normalised text.
    pub(crate) fn raw_bytes(&self) -> &'a [u8] {
        match self.parent {
            Some(parent) if self.is_view => parent.bytes,
            _ => self.bytes,
        }
    }

    /// Computes the digests of the layer that are wanted, for
    /// [`digest`](Self::digest) to give. Those of the layers around it that are
    /// wanted get on at the same time.
    pub(crate) fn compute_digests(&self, wanted: impl Fn(&Layer<'_>) -> Wanted) {
        let own = wanted(self);
        // SHA-256 alone is faster by itself.
        if !own.md5 || self.md5.get().is_some() {
            return;
        }
        let around = || self.chain().skip(1);
        let Digests { md5, sha256 } =
            beside(self.running.get(), self.bytes, own.sha256, around, &wanted);
        // What is set already is the same.
        let _ = self.md5.set(md5);
        if let Some(sha256) = sha256 {
            let _ = self.sha256.set(sha256);
        }
    }

    /// The MD5 of some of its bytes; the digests of the layer itself and of those
    /// around it, as far as they are wanted, get on at the same time.
    pub(crate) fn md5_of_part(
        &self,
        bytes: &[u8],
        wanted: impl Fn(&Layer<'_>) -> Wanted,
    ) -> [u8; 16] {
        beside(Running::default(), bytes, false, || self.chain(), &wanted).md5
    }

    /// A digest of its bytes.
    ///
    /// Costs time linear in the bytes when first asked for.
    pub fn digest(&self, kind: DigestKind) -> &[u8] {
        match kind {
            DigestKind::Md5 => {
                self.md5.get_or_init(|| self.running.get().finish(self.bytes, false).md5)
            }
            DigestKind::Sha1 => self.sha1.get_or_init(|| Sha1::digest(self.bytes).into()),
            DigestKind::Sha256 => self.sha256.get_or_init(|| Sha256::digest(self.bytes).into()),
        }
    }
}

/// Finishes the digests of some bytes, and takes those of layers that will be asked
/// for theirs along: first of those which have most bytes left, so that when their
/// own turn comes there are still others to go beside them.
fn beside<'l, L: Iterator<Item = &'l Layer<'l>>>(
    mut running: Running,
    bytes: &[u8],
    sha256: bool,
    layers: impl Fn() -> L,
    wanted: &impl Fn(&Layer<'_>) -> Wanted,
) -> Digests {
    while !running.is_at_end(bytes) {
        let open = layers().filter(|layer| !layer.is_view && layer.md5.get().is_none());
        let open = open.map(|layer| (layer.running.get().n_left(layer.bytes), layer));
        let open = open.filter(|&(n_left, layer)| n_left > 0 && wanted(layer).md5);
        let [mut most, mut second]: [Option<(usize, &Layer<'_>)>; 2] = [None; 2];
        for (n_left, layer) in open {
            if most.is_none_or(|(most, _)| n_left > most) {
                (most, second) = (Some((n_left, layer)), most);
            } else if second.is_none_or(|(second, _)| n_left > second) {
                second = Some((n_left, layer));
            }
        }
        let Some((_, one)) = most else { break };
        let second = second.filter(|_| simd::side_by_side() > 2).map(|(_, layer)| layer);
        let sha256 = sha256 || wanted(one).sha256 || second.is_some_and(|l| wanted(l).sha256);
        let (own, mut first) = ((&mut running, bytes), one.running.get());
        if let Some(two) = second {
            let mut other = two.running.get();
            Running::beside([own, (&mut first, one.bytes), (&mut other, two.bytes)], sha256);
            two.running.set(other);
        } else {
            Running::beside([own, (&mut first, one.bytes)], sha256);
        }
        one.running.set(first);
    }
    running.finish(bytes, sha256)
}

/// What a container says of a part, before the part is looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PartEntry<'p> {
    /// The part's name; empty if it has none.
    pub name: &'p [u8],
    /// The bytes that it takes in the container.
    pub packed_size: u64,
    /// The bytes of the part itself.
    pub size: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Its position, from 1; 0 in messages.
    pub position: u64,
}

/// The form in which a layer is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// As it is.
    Raw,
    /// Normalised HTML (and, in a first pass, its scripts).
    Html,
    /// Normalised text, or scripts of HTML; never hashed.
    Text,
}

impl Look {
    /// The target whose signatures see it, besides [`Target::ANY`].
    pub fn target(self, file_type: FileType) -> Option<Target> {
        match self {
            Look::Raw => Target::of_raw(file_type),
            Look::Html => Some(Target::HTML),
            Look::Text => Some(Target::TEXT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_no_containers() {
        let root = Layer::new(b"root", FileType::MAIL, None);
        let part = Layer::new(b"part", FileType::HTML, Some(&root));
        let view = Layer::view(b"view", &part);
        let inner = Layer::new(b"inner", FileType::TEXT_ASCII, Some(&view));
        assert_eq!(view.containers().collect::<Vec<_>>(), [FileType::MAIL]);
        assert_eq!(inner.containers().collect::<Vec<_>>(), [FileType::HTML, FileType::MAIL]);
        assert_eq!(view.raw_bytes().len(), 4);
    }
}
