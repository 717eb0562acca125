using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xunit;

namespace MultiCluster.TestSupport;

/// <summary>A test that needs a program which not every machine has; it is skipped, with a word why, where the program does not answer.</summary>
/// <remarks>The program is tried once per test run, in the folder of the test's source file, with at most a minute.</remarks>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresToolFactAttribute : FactAttribute
{
    private static readonly ConcurrentDictionary<(string, string, string), bool> Answers = new();

    /// <summary>Runs <paramref name="tool"/> with <paramref name="trial"/>, which must exit with 0 when everything is there.</summary>
    /// <param name="tool">A program in PATH, or its full path.</param>
    /// <param name="trial">One argument line, such as <c>-c "import grpc"</c>.</param>
    /// <param name="remedy">What to do where it is missing, as the beginning of a sentence that ends with "to run this test".</param>
    /// <param name="sourceFile">Filled in by the compiler.</param>
    public RequiresToolFactAttribute(string tool, string trial, string remedy = "Run .ci/install-test-clients", [CallerFilePath] string sourceFile = "")
    {
        string folder = Path.GetDirectoryName(sourceFile)!;
        if (!Answers.GetOrAdd((tool, trial, folder), static key => Works(key.Item1, key.Item2, key.Item3)))
        {
            Skip = $"'{tool} {trial}' does not work here. {remedy} to run this test.";
        }
    }

    private static bool Works(string tool, string trial, string folder)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(tool, trial)
            {
                WorkingDirectory = Directory.Exists(folder) ? folder : Environment.CurrentDirectory,
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            process.OutputDataReceived += (_, _) => { };
            process.ErrorDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            if (process.WaitForExit(TimeSpan.FromSeconds(60)))
            {
                return process.ExitCode == 0;
            }

            process.Kill(entireProcessTree: true);
            return false;
        }
        catch (Win32Exception)
        {
            return false;   // there is no such program
        }
    }
}
