//! The names of events, as a closed set in the document.

use crate::store::events::EventType;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;
use std::borrow::Cow;

/// Such as `batch.completed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EventName(pub(super) EventType);

impl EventName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        EventType::ALL.into_iter().find(|kind| kind.as_str() == name).map(EventName)
    }
}

impl Type for EventName {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "EventType".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| {
            let mut schema = MetaSchema::new("string");
            schema.description = Some("What can happen.");
            schema.enum_items =
                EventType::ALL.iter().map(|kind| Value::from(kind.as_str())).collect();
            schema
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for EventName {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        let parsed = value.as_str().and_then(EventName::parse);
        parsed.ok_or_else(|| ParseError::expected_type(value))
    }
}

impl ToJSON for EventName {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.as_str().into())
    }
}
