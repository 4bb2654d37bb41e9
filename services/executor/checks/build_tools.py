"""The kernel's selftests built before and after each patch: new messages, and products that git would not ignore."""

from datetime import timedelta

from pydantic import Field

from services.executor.builds import answer
from services.executor.builds.recipe import OBJECTS, Kconfig, Recipe, Step, Variables, variables
from services.executor.checks.base import CheckConfig, Desk, Needs, OurCheck, Said, Subject, success
from shared.settings import Duration

SELFTESTS = "tools/testing/selftests"


class BuildToolsConfig(CheckConfig):
    """`targets` are the selftests that are built, all if left out, but for `skip`. `touches`: a patch that touches
    none of these has nothing to do with tools.
    """

    targets: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    touches: tuple[str, ...] = ("include/*", "tools/*")
    make: Variables = Field(default={}, description="variables of make")
    noise: tuple[str, ...] = ()
    base_time_limit: Duration = Field(default=timedelta(hours=3), description="of building a base, once")


class BuildTools(OurCheck):
    """What userspace sees of a kernel must go on to build."""

    name = "build_tools"
    help = "new warnings and errors of the selftests, and files that git does not ignore"
    needs = Needs.BUILD
    pulls = True
    limit = timedelta(hours=1)
    tools = ("make", "gcc", "rsync")
    Config = BuildToolsConfig
    config: BuildToolsConfig

    def recipe(self) -> Recipe:
        config = self.config
        given = {
            "TARGETS": " ".join(config.targets), "SKIP_TARGETS": " ".join(config.skip),
            "KHDR_INCLUDES": f"-isystem {OBJECTS}/usr/include",
        }  # fmt: skip
        return Recipe(
            name=self.name,
            kconfig=Kconfig("defconfig", ("WERROR=n",)),
            variables=variables(make=config.make),
            steps=(Step(("headers",)), Step(("all",), SELFTESTS, variables(given=given))),
            noise=config.noise,
            products="kselftest",
            mirrors=SELFTESTS,
            seconds=self.time_limit.total_seconds(),
            base_seconds=config.base_time_limit.total_seconds(),
        )

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        if not subject.touches(self.config.touches):
            return success("No tools touched, skip")
        return await answer.build(subject, desk, self.recipe())
