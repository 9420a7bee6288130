"""What CycloneDX's own schema says of a bill of materials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def faults(bill: Mapping[str, Any]) -> list[str]:
    """One for each place that the schema of version 1.6 does not allow."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill), all_errors=True)
    return [repr(fault) for fault in found or ()]
