//! The book of quahog.
//!
//! | chapter | what it tells |
//! |---|---|
//! | [`deviations`] | where quahog's answers differ from ClamAV's, and why |
//! | [`quirks`] | every odd meaning of the language, what becomes of it, and the test that shows it |
//! | [`databases`] | which files are read, what is verified, what a bad line does |
//! | [`updates`] | who is believed, what an update cannot do, patches, sources of one's own |
//! | [`formats`] | which containers are opened, which views are made |
//! | [`engine`] | how a buffer is searched, and what that costs |
//! | [`live`] | how an update comes to be in force, and what it must show before |
//! | [`incidents`] | what took mail down elsewhere, and what happens here |

#[doc = include_str!("deviations.md")]
pub mod deviations {}

#[doc = include_str!("quirks.md")]
pub mod quirks {}

#[doc = include_str!("databases.md")]
pub mod databases {}

#[doc = include_str!("updates.md")]
pub mod updates {}

#[doc = include_str!("formats.md")]
pub mod formats {}

#[doc = include_str!("engine.md")]
pub mod engine {}

#[doc = include_str!("live.md")]
pub mod live {}

#[doc = include_str!("incidents.md")]
pub mod incidents {}
