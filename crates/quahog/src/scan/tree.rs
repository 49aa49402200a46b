//! The tree of objects in an input.

use md5::Md5;
use quahog_content::{Budget, Part, Shortfall};
use quahog_sig::model::FileType;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::evidence::EvidenceKind;

/// An object, and what was found inside of it.
///
/// There are as many as the limits let a scan look at, and they nest no deeper
/// than it may open them. The normalised views of an object are none.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    /// Its name in the object around it, as paths of objects have it; empty for
    /// the input itself.
    pub name: String,
    /// What it was identified as, and searched and opened as; `None` for what
    /// was not looked at.
    pub file_type: Option<FileType>,
    /// The media type that a message declares, lower-case, without parameters.
    pub declared: Option<String>,
    /// Bytes that were looked at; of what could not be had, as its container
    /// says.
    pub size: u64,
    /// Digests of the bytes that were looked at; `None` if there were none, or
    /// if the budget ended.
    pub digests: Option<Digests>,
    /// What a policy may want to know of it, each once.
    pub flags: Vec<EvidenceKind>,
    /// What was not looked at of it, each reason once.
    pub missing: Vec<Shortfall>,
    /// The objects in it, in the order in which they were met.
    pub children: Vec<Node>,
}

/// Digests of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digests {
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-1.
    pub sha1: [u8; 20],
    /// SHA-256.
    pub sha256: [u8; 32],
}

impl Digests {
    fn of(bytes: &[u8]) -> Digests {
        Digests {
            md5: Md5::digest(bytes).into(),
            sha1: Sha1::digest(bytes).into(),
            sha256: Sha256::digest(bytes).into(),
        }
    }
}

/// A tree in the making: the input, and the objects around the current one.
#[derive(Debug, Default)]
pub(super) struct Sapling {
    root: Node,
    /// From the input's child to the current object.
    branch: Vec<Node>,
}

impl Sapling {
    /// Goes on to an object inside of the current one.
    pub(super) fn descend(&mut self, name: &str) {
        self.branch.push(Node { name: name.to_owned(), ..Node::default() });
    }

    /// Goes back to the object around the current one.
    pub(super) fn ascend(&mut self) {
        if let Some(node) = self.branch.pop() {
            self.current().children.push(node);
        }
    }

    /// Notes what a container says of the current object, and its bytes.
    pub(super) fn part(&mut self, part: &Part<'_>, budget: &Budget<'_>) {
        let node = self.current();
        node.declared = part.declared.as_deref().map(str::to_owned);
        match part.bytes {
            Some(bytes) => self.measure(bytes, budget),
            None => node.size = part.entry.size,
        }
    }

    /// Notes the bytes of the current object.
    pub(super) fn measure(&mut self, bytes: &[u8], budget: &Budget<'_>) {
        let node = self.current();
        node.size = bytes.len() as u64;
        // If the budget ends here, the walk finds out at its next step.
        if budget.tick(bytes.len() as u64).is_ok() {
            node.digests = Some(Digests::of(bytes));
        }
    }

    /// Notes what the current object is.
    pub(super) fn typed(&mut self, file_type: FileType) {
        self.current().file_type = Some(file_type);
    }

    /// Notes evidence about the object at this depth; 0 is the input.
    pub(super) fn flag(&mut self, kind: EvidenceKind, depth: usize) {
        let node = match depth.checked_sub(1) {
            None => &mut self.root,
            Some(at) => match self.branch.get_mut(at) {
                Some(node) => node,
                None => return,
            },
        };
        if !node.flags.contains(&kind) {
            node.flags.push(kind);
        }
    }

    /// Notes what is missing of the current object.
    pub(super) fn missing(&mut self, reason: Shortfall) {
        let missing = &mut self.current().missing;
        if !missing.contains(&reason) {
            missing.push(reason);
        }
    }

    /// The tree, at the end of the walk.
    pub(super) fn grown(mut self) -> Node {
        while !self.branch.is_empty() {
            self.ascend();
        }
        self.root
    }

    fn current(&mut self) -> &mut Node {
        self.branch.last_mut().unwrap_or(&mut self.root)
    }
}
