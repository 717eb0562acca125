using System.Collections.Concurrent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using MultiCluster.Engine.Tests.Grpc.Protos;

namespace MultiCluster.Engine.Tests.Grpc;

/// <summary>What happened on the server side of the probe, for tests to wait on.</summary>
internal sealed class ProbeRecord
{
    /// <summary>Calls whose token fired while they hung.</summary>
    public ConcurrentQueue<string> Cancelled { get; } = new();

    public TaskCompletionSource CancelSeen { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource Hanging { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource StreamWritten { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What a write after the end of the call threw.</summary>
    public TaskCompletionSource<Exception?> LateWrite { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int MessagesWritten;
}

/// <summary>Does what requests say.</summary>
internal sealed class ProbeService(ProbeRecord record) : Probe.ProbeBase
{
    public override async Task<ProbeReply> Unary(ProbeRequest request, ServerCallContext context)
    {
        if (request.Text == "headers")
        {
            await context.WriteResponseHeadersAsync(new Metadata { { "x-early", "yes" }, { "x-early-bin", [0, 1, 255] } });
        }

        context.ResponseTrailers.Add("x-trailer", "after");
        context.ResponseTrailers.Add("x-trailer-bin", [1, 2, 250]);
        await EndAsync(request, context);
        return Reply(request, context, 0, ProbeReply.Types.Kind.Only);
    }

    public override async Task ServerStream(ProbeRequest request, IServerStreamWriter<ProbeReply> responseStream, ServerCallContext context)
    {
        for (int i = 0; i < request.Replies; i++)
        {
            await responseStream.WriteAsync(Reply(request, context, i, ProbeReply.Types.Kind.Part));
            Interlocked.Increment(ref record.MessagesWritten);
        }

        record.StreamWritten.TrySetResult();
        try
        {
            await EndAsync(request, context);
        }
        finally
        {
            if (request.Ending?.Hang == true)
            {
                record.LateWrite.TrySetResult(await Record.ExceptionAsync(() => responseStream.WriteAsync(new ProbeReply())));
            }
        }
    }

    public override async Task<ProbeReply> ClientStream(IAsyncStreamReader<ProbeRequest> requestStream, ServerCallContext context)
    {
        int count = 0;
        long bytes = 0;
        await foreach (ProbeRequest request in requestStream.ReadAllAsync())
        {
            count++;
            bytes += request.Payload.Length;
            await EndAsync(request, context);
        }

        return new ProbeReply { Text = $"{count} messages, {bytes} bytes" };
    }

    public override async Task Duplex(IAsyncStreamReader<ProbeRequest> requestStream, IServerStreamWriter<ProbeReply> responseStream, ServerCallContext context)
    {
        int index = 0;
        await foreach (ProbeRequest request in requestStream.ReadAllAsync())
        {
            await EndAsync(request, context);
            await responseStream.WriteAsync(Reply(request, context, index++, ProbeReply.Types.Kind.Part));
        }
    }

    private static ProbeReply Reply(ProbeRequest request, ServerCallContext context, int index, ProbeReply.Types.Kind kind)
    {
        var reply = new ProbeReply
        {
            Text = request.Text,
            Payload = request.ReplyBytes > 0 ? UnsafeByteOperations.UnsafeWrap(new byte[request.ReplyBytes]) : request.Payload,
            Index = index,
            Kind = kind,
        };
        foreach (Metadata.Entry entry in index == 0 ? context.RequestHeaders : Metadata.Empty)
        {
            if (entry.Key.StartsWith("x-", StringComparison.Ordinal))
            {
                string value = entry.IsBinary ? Convert.ToHexString(entry.ValueBytes) : entry.Value;
                reply.Headers[entry.Key] = reply.Headers.TryGetValue(entry.Key, out string? earlier) ? $"{earlier};{value}" : value;
            }
        }

        return reply;
    }

    private async Task EndAsync(ProbeRequest request, ServerCallContext context)
    {
        if (request.Ending is not { } ending)
        {
            return;
        }

        if (ending.Hang)
        {
            record.Hanging.TrySetResult();
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.CancellationToken);
            }
            finally
            {
                record.Cancelled.Enqueue(request.Text);
                record.CancelSeen.TrySetResult();
            }
        }

        if (ending.Crash.Length > 0)
        {
            throw new FormatException(ending.Crash);
        }

        var status = new Status((StatusCode)ending.Code, ending.Message);
        if (ending.Rich)
        {
            throw new Google.Rpc.Status
            {
                Code = ending.Code,
                Message = ending.Message,
                Details =
                {
                    Any.Pack(new Google.Rpc.BadRequest { FieldViolations = { new Google.Rpc.BadRequest.Types.FieldViolation { Field = "text", Description = "is wrong" } } }),
                },
            }.ToRpcException();
        }

        if (ending.Code != 0)
        {
            throw new RpcException(status, new Metadata { { "x-why", "because" } });
        }
    }
}
