using Google.Protobuf;
using Grpc.Core;
using Grpc.Reflection.V1Alpha;

namespace MultiCluster.Engine.Grpc.Reflection;

/// <summary>Reflection v1alpha: the generated types differ from v1 in nothing but their namespace, and share no base.</summary>
internal sealed class ReflectionV1AlphaService(DescriptorIndex index) : ServerReflection.ServerReflectionBase
{
    public override async Task ServerReflectionInfo(
        IAsyncStreamReader<ServerReflectionRequest> requestStream, IServerStreamWriter<ServerReflectionResponse> responseStream, ServerCallContext context)
    {
        await foreach (ServerReflectionRequest request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            ServerReflectionResponse response = Answer(request);
            response.ValidHost = request.Host;
            response.OriginalRequest = request;
            await responseStream.WriteAsync(response);
        }
    }

    private ServerReflectionResponse Answer(ServerReflectionRequest request) => request.MessageRequestCase switch
    {
        ServerReflectionRequest.MessageRequestOneofCase.ListServices => new()
        {
            ListServicesResponse = new ListServiceResponse { Service = { index.ServiceNames.Select(name => new ServiceResponse { Name = name }) } },
        },
        ServerReflectionRequest.MessageRequestOneofCase.FileByFilename => Files(index.FilesByName(request.FileByFilename), "file", request.FileByFilename),
        ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol => Files(index.FilesBySymbol(request.FileContainingSymbol), "symbol", request.FileContainingSymbol),
        ServerReflectionRequest.MessageRequestOneofCase.FileContainingExtension => Failed(
            StatusCode.NotFound, $"There is no extension {request.FileContainingExtension.ExtensionNumber} of {request.FileContainingExtension.ContainingType}."),
        ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType => Failed(
            StatusCode.NotFound, $"There are no extensions of {request.AllExtensionNumbersOfType}."),
        _ => Failed(StatusCode.Unimplemented, "This reflection request is not known."),
    };

    private static ServerReflectionResponse Files(IReadOnlyList<ByteString>? files, string what, string name) => files is null
        ? Failed(StatusCode.NotFound, $"There is no {what} '{name}'.")
        : new() { FileDescriptorResponse = new FileDescriptorResponse { FileDescriptorProto = { files } } };

    private static ServerReflectionResponse Failed(StatusCode code, string why) =>
        new() { ErrorResponse = new ErrorResponse { ErrorCode = (int)code, ErrorMessage = why } };
}
