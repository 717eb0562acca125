using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MultiCluster.TestSupport;

namespace MultiCluster.Engine.Tests.Grpc.Clients;

/// <summary>Clients that nobody here wrote, as child processes against our server.</summary>
public sealed class ForeignClientTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly string Folder = Path.GetDirectoryName(ThisFile())!;

    [RequiresToolFact("node", "-e \"require('@grpc/grpc-js'); require('@grpc/proto-loader')\"")]
    public Task GrpcJs_AllChecks_Pass() => RunAsync(
        "node", "client.mjs", [Path.Combine(Folder, "../Protos"), Path.Combine(Folder, "../../../../Engine/Grpc/Protos")], scheme: "", cancelledCall: "js",
        [
            "unary", "serverStream", "clientStream", "duplex", "metadata", "deadline", "cancellation", "gzip", "requestTooLarge", "responseTooLarge",
            "errorText", "errorAfterMessages", "richDetails", "unimplemented", "health", "reflectionV1", "reflectionV1Alpha",
        ]);

    [RequiresToolFact("/usr/bin/python3", "-c \"import grpc, google.protobuf\"")]
    public Task PythonGrpcio_AllChecks_Pass() => RunAsync(
        "/usr/bin/python3", "client.py", [], scheme: "ipv4:", cancelledCall: "py",
        [
            "unary", "server_stream", "client_stream", "duplex", "metadata", "deadline", "cancellation", "gzip", "request_too_large", "response_too_large",
            "error_text", "error_after_messages", "rich_details", "unimplemented", "health", "reflection_v1", "reflection_v1alpha",
        ]);

    private static string ThisFile([CallerFilePath] string file = "") => file;

    private static async Task RunAsync(string program, string script, string[] arguments, string scheme, string cancelledCall, string[] checks)
    {
        var encodings = new ConcurrentDictionary<(string Request, string Response), bool>();
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(
            grpc => grpc.ResponseCompressionAlgorithm = "gzip",
            services =>
            {
                services.AddGrpcHealthChecks().AddCheck("fine", () => HealthCheckResult.Healthy());
                services.AddGrpcReflection();
            },
            app =>
            {
                app.Use(async (http, next) =>
                {
                    await next(http);
                    encodings.TryAdd((http.Request.Headers["grpc-encoding"].ToString(), http.Response.Headers["grpc-encoding"].ToString()), true);
                });
                app.MapGrpcService<ProbeService>();
                app.MapGrpcHealthChecksService();
                app.MapGrpcReflectionService();
            });

        using var process = Process.Start(new ProcessStartInfo(program, [script, scheme + new Uri(server.Address).Authority, .. arguments])
        {
            WorkingDirectory = Folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(Patience);
            string said = await output + await errors;

            string[] passed = [.. Regex.Matches(said, "^ok (.+)$", RegexOptions.Multiline, Patience).Select(match => match.Groups[1].Value)];
            Assert.True(process.ExitCode == 0 && passed.SequenceEqual(checks), said);
            Assert.True(encodings.ContainsKey(("gzip", "gzip")), string.Join("\n", encodings.Keys));
            Assert.Contains(cancelledCall, server.Record.Cancelled);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
