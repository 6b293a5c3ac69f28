"""What flights must be to land: checked on the dataset as it would be, before the branch moves."""

import pandera.polars as pa


class Flights(pa.DataFrameModel):
    """Departures from the three airports of New York in 2013."""

    year: int = pa.Field(eq=2013)
    month: int = pa.Field(ge=1, le=12)
    day: int = pa.Field(ge=1, le=31)
    carrier: str = pa.Field(str_length={"min_value": 2, "max_value": 2})
    flight: int = pa.Field(ge=1)
    origin: str = pa.Field(isin=["EWR", "JFK", "LGA"])
    dest: str = pa.Field(str_length={"min_value": 3, "max_value": 3})
    distance: int = pa.Field(gt=0)
    dep_delay: int = pa.Field(ge=-60, le=1440, nullable=True)
    arr_delay: int = pa.Field(ge=-120, le=1440, nullable=True)
