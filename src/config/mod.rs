//! How mon.cf is read: text in, a [`crate::model::Model`] or all mistakes out.
