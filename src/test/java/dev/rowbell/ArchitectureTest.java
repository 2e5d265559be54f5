package dev.rowbell;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** What the packages and classes of the program may not do, whatever they are for. */
@AnalyzeClasses(packages = "dev.rowbell", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

    @ArchTest
    static final ArchRule packagesDependOnEachOtherInOneDirectionOnly =
            slices().matching("dev.rowbell.(*)..").should().beFreeOfCycles();

    @ArchTest
    static final ArchRule noPackageDependsOnTheOneThatPutsThemTogether = noClasses()
            .that()
            .resideOutsideOfPackage("dev.rowbell")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("dev.rowbell");

    @ArchTest
    static final ArchRule theProgramKnowsNothingOfItsTests =
            noClasses().should().dependOnClassesThat().resideInAPackage("dev.rowbell.testing..");

    @ArchTest
    static final ArchRule nothingStaticChanges =
            fields().that().areStatic().should().beFinal();

    @ArchTest
    static final ArchRule noThreadCarriesStateFromOneCallToTheNext =
            noFields().should().haveRawType(ThreadLocal.class);
}
