"""What the component is made of: see the package `compatible`."""

from aiv_sdk import engine
from compatible import Compatible

Engine = engine(Compatible())
